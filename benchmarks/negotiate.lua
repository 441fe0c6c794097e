-- What wrk sends and how it reports: one line of JSON, for `serving.py`.
wrk.method = "POST"

function done(summary, latency)
  io.write(string.format('\n{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "p99": %d}\n',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(99)))
end

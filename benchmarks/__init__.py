"""The benchmarks: what flask_signalr costs, as ratios to what one would use otherwise; README.md tells more."""

// How the page's script renews a sign-in: when, how often, and what it does after a failure. Run by `node --test`.
import assert from "node:assert";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const script = readFileSync(new URL("../../demo/static/refresh.js", import.meta.url), "utf8");
const { Renewal } = await import(`data:text/javascript,${encodeURIComponent(script)}`);

const settled = () => new Promise((resolve) => setImmediate(resolve));
const refusal = (statusCode) => Object.assign(new Error(`refused by ${statusCode}`), { statusCode });
const offline = new Error("no network");

// A client's HTTP client between an app and a service; the clock stands until it is told.
class Site {
  constructor(outcome, lifetime = 600) {
    Object.assign(this, { outcome, lifetime, refreshes: [], sent: [], failures: [] });
  }

  async send(request) {
    this.sent.push(request);
    if (request.url.includes("/refresh")) {
      this.refreshes.push({ ...request, at: Date.now() / 1000 });
      if (this.outcome instanceof Error) throw this.outcome;
      return { content: JSON.stringify({ accessToken: "second", tokenLifetimeSeconds: this.outcome }) };
    }
    const access = { url: "https://service/client/?hub=chat", accessToken: "first", tokenLifetimeSeconds: this.lifetime };
    return { content: JSON.stringify(request.url.includes("service") ? { connectionToken: "a b" } : access) };
  }

  async connect(url = "https://app/chat/negotiate?negotiateVersion=1&useStatefulReconnect=true&room=5") {
    await this.send({ method: "POST", url, headers: {} });
    await this.send({ method: "POST", url: "https://service/client/negotiate?hub=chat", headers: {} });
  }

  get times() {
    return this.refreshes.map(({ at }) => at);
  }
}

async function connected(t, outcome, options = {}) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const site = new Site(outcome);
  const renewal = new Renewal(site, { onFailed: (error) => site.failures.push(error.message), ...options });
  await site.connect();
  return [site, renewal];
}

async function pass(t, seconds) {
  for (let second = 0; second < seconds; second++) {
    t.mock.timers.tick(1000);
    await settled();
  }
}

test("what fails without an answer is tried again at half of what is left, and told in the end", async (t) => {
  const [site] = await connected(t, offline);

  await pass(t, 700);

  assert.deepStrictEqual(site.times, [300, 450, 525, 563, 582, 591, 596, 598, 599]);
  assert.deepStrictEqual(site.failures, ["no network"]);
});

test("a server in trouble is asked again, and who is renewed then goes on as if nothing had been", async (t) => {
  const [site] = await connected(t, refusal(503));

  await pass(t, 310);
  site.outcome = 1000;
  await pass(t, 1000);

  assert.deepStrictEqual(site.times, [300, 450, 1150]);
  assert.deepStrictEqual(site.failures, []);
});

test("a refusal is final, and told at once", async (t) => {
  const [site] = await connected(t, refusal(403));

  await pass(t, 700);

  assert.deepStrictEqual(site.times, [300]);
  assert.deepStrictEqual(site.failures, ["refused by 403"]);
});

test("a failed renewal by hand does not end the ones in time", async (t) => {
  const [site, renewal] = await connected(t, offline);

  await assert.rejects(renewal.refresh(), offline);
  site.outcome = 1000;
  await pass(t, 400);

  assert.deepStrictEqual(site.times, [0, 300]);
});

test("without onFailed, the console tells that it gave up", async (t) => {
  const warned = t.mock.method(console, "warn", () => {});
  await connected(t, refusal(404), { onFailed: undefined });

  await pass(t, 301);

  assert.deepStrictEqual(warned.mock.calls.map((call) => call.arguments), [
    ["The sign-in of the SignalR connection was not renewed:", "refused by 404"],
  ]);
});

test("there is nothing to renew before the first negotiate and after the end", async () => {
  const site = new Site(600);
  const renewal = new Renewal(site);
  const nothing = { message: "There is no connection to renew: it has to be started first." };

  await assert.rejects(renewal.refresh(), nothing);
  await site.send({ method: "POST", url: "https://app/chat/negotiate", headers: {} });
  await assert.rejects(renewal.refresh(), nothing);
  await site.connect();
  renewal.stop();
  await assert.rejects(renewal.refresh(), nothing);

  assert.strictEqual(site.refreshes.length, 0);
});

test("nothing is tried after the end", async (t) => {
  const [site, renewal] = await connected(t, offline);

  await pass(t, 310);
  renewal.stop();
  await pass(t, 400);

  assert.deepStrictEqual(site.times, [300]);
  assert.deepStrictEqual(site.failures, []);
});

for (const base of ["https://app/chat", "/chat", "chat"]) {
  test(`the query of a negotiate to ${base} goes on to its refresh`, async (t) => {
    const site = new Site(600);
    const renewal = new Renewal(site);
    t.after(() => renewal.stop());

    await site.connect(`${base}/negotiate?negotiateVersion=1&useStatefulReconnect=true&room=5`);
    await renewal.refresh();

    assert.strictEqual(site.refreshes[0].url, `${base}/refresh?room=5&id=a+b`);
  });
}

test("what the client sends with its first token goes with the newest", async (t) => {
  const [site, renewal] = await connected(t, 600);

  await renewal.refresh();
  await site.send({ method: "GET", url: "https://service/client/", headers: { Authorization: "Bearer first" } });

  assert.strictEqual(site.sent.at(-1).headers.Authorization, "Bearer second");
});

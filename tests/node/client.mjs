// Connections of the official JavaScript client: commands come on standard input, events go out, a JSON line each.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.url);
const { DefaultHttpClient, HttpTransportType, HubConnectionBuilder, LogLevel, NullLogger } = require("@microsoft/signalr");
const { MessagePackHubProtocol } = require("@microsoft/signalr-protocol-msgpack");
// The page's own script, which no package.json says to be a module.
const script = readFileSync(new URL("../../demo/static/refresh.js", import.meta.url), "utf8");
const { Renewal } = await import(`data:text/javascript,${encodeURIComponent(script)}`);
const TARGETS = ["news", "fence"];
const RETRY_DELAYS = [0, 50, 100, 200, 400, 800, 1600, 3200]; // milliseconds

const connections = new Map();

const tell = (connection, event, facts = {}) =>
  process.stdout.write(JSON.stringify({ connection, event, ...facts }, written) + "\n");

const text = (error) => ({ error: error === undefined ? null : error.message });

// What JSON has no form for: dates and bytes, which are objects with one member of that name.
function read(key, value) {
  if (value?.date) return new Date(value.date);
  return value?.bytes ? Uint8Array.from(value.bytes) : value;
}

function written(key, value) {
  const original = this[key]; // its own toJSON was asked before
  if (original instanceof Date) return { date: original.toISOString() };
  return original instanceof Uint8Array ? { bytes: [...original] } : value;
}

const renewals = new Map();

// Lets a client that cannot do it itself renew its sign-in.
function renewing(name, accessTokenFactory) {
  const client = new DefaultHttpClient(NullLogger.instance);
  const onRefreshed = (lifetime) => tell(name, "refreshed", { lifetime: lifetime ?? null });
  const onFailed = (error) => tell(name, "refreshFailed", text(error));
  renewals.set(name, new Renewal(client, { accessTokenFactory, onRefreshed, onFailed }));
  return client;
}

function build(name, { url, transport, headers, token, tokenUrl, renew, reconnect, stateful, protocol }) {
  const options = {};
  if (transport) options.transport = HttpTransportType[transport];
  if (headers) options.headers = headers;
  if (token) options.accessTokenFactory = () => token;
  if (tokenUrl) options.accessTokenFactory = async () => (await fetch(tokenUrl)).text();
  if (renew) options.httpClient = renewing(name, options.accessTokenFactory);
  const builder = new HubConnectionBuilder().configureLogging(LogLevel.None);
  if (Object.keys(options).length) builder.withUrl(url, options);
  else builder.withUrl(url);
  if (reconnect) builder.withAutomaticReconnect(RETRY_DELAYS);
  if (stateful) builder.withStatefulReconnect();
  if (protocol === "messagepack") builder.withHubProtocol(new MessagePackHubProtocol());
  const connection = builder.build();
  for (const target of TARGETS) connection.on(target, (...args) => tell(name, "message", { target, arguments: args }));
  connection.on("answer", (question) => `${question}? Yes.`);
  connection.onreconnecting((error) => tell(name, "reconnecting", text(error)));
  connection.onreconnected((id) => tell(name, "reconnected", { id }));
  connection.onclose((error) => tell(name, "closed", text(error)));
  return connection;
}

async function outcome(name, method, given) {
  try {
    return { result: await connections.get(name).invoke(method, ...given) };
  } catch (error) {
    return { error: error.message };
  }
}

const commands = {
  async start(name, command) {
    const connection = build(name, command);
    connections.set(name, connection);
    try {
      await connection.start();
      tell(name, "started", { id: connection.connectionId });
    } catch (error) {
      tell(name, "failed", { kind: error.constructor.name, ...text(error) });
    }
  },

  async invoke(name, { method, arguments: given }) {
    tell(name, "answered", await outcome(name, method, given));
  },

  // Many calls at once; in the order of their calls come the outcomes, and the order in which they came.
  async invokeEach(name, { method, each }) {
    const order = [];
    const calls = each.map(async (given, index) => {
      const answer = await outcome(name, method, given);
      order.push(index);
      return answer;
    });
    tell(name, "answered", { outcomes: await Promise.all(calls), order });
  },

  // The items of a stream, and what it ended with.
  stream(name, { method, arguments: given }) {
    const items = [];
    connections.get(name).stream(method, ...given).subscribe({
      next: (item) => items.push(item),
      complete: () => tell(name, "answered", { items }),
      error: (error) => tell(name, "answered", { items, ...text(error) }),
    });
  },

  async refresh(name) {
    try {
      await renewals.get(name).refresh();
      tell(name, "answered", { result: null });
    } catch (error) {
      tell(name, "answered", text(error));
    }
  },

  async send(name, { method, arguments: given }) {
    await connections.get(name).send(method, ...given);
    tell(name, "sent");
  },

  async stop(name) {
    renewals.get(name)?.stop();
    await connections.get(name).stop();
    tell(name, "stopped");
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line, read);
  commands[command.do](command.connection, command); // several at once, as in a page
}
process.exit();

// Connections of the official JavaScript client: commands come on standard input, events go out, a JSON line each.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { HttpTransportType, HubConnectionBuilder, LogLevel } = createRequire(import.meta.url)("@microsoft/signalr");
const TARGETS = ["news", "fence"];
const RETRY_DELAYS = [0, 50, 100, 200, 400, 800, 1600, 3200]; // milliseconds

const connections = new Map();

const tell = (connection, event, facts = {}) =>
  process.stdout.write(JSON.stringify({ connection, event, ...facts }) + "\n");

const text = (error) => ({ error: error === undefined ? null : error.message });

function build(name, { url, transport, headers, token, reconnect, stateful }) {
  const options = {};
  if (transport) options.transport = HttpTransportType[transport];
  if (headers) options.headers = headers;
  if (token) options.accessTokenFactory = () => token;
  const builder = new HubConnectionBuilder().configureLogging(LogLevel.None);
  if (Object.keys(options).length) builder.withUrl(url, options);
  else builder.withUrl(url);
  if (reconnect) builder.withAutomaticReconnect(RETRY_DELAYS);
  if (stateful) builder.withStatefulReconnect();
  const connection = builder.build();
  for (const target of TARGETS) connection.on(target, (...args) => tell(name, "message", { target, arguments: args }));
  connection.onreconnecting((error) => tell(name, "reconnecting", text(error)));
  connection.onreconnected((id) => tell(name, "reconnected", { id }));
  connection.onclose((error) => tell(name, "closed", text(error)));
  return connection;
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

  async call(name) {
    try {
      await connections.get(name).invoke("shout", { text: "hello" });
      tell(name, "answered", { error: null });
    } catch (error) {
      tell(name, "answered", text(error));
    }
  },

  async stop(name) {
    await connections.get(name).stop();
    tell(name, "stopped");
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  commands[command.do](command.connection, command); // several at once, as in a page
}
process.exit();

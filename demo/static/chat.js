// The connection to the hub, by the official client (the global signalR).

import { Refusal, reasonIn } from "./api.js";
import { Renewal } from "./refresh.js";

const RETRY_DELAYS = [0, 2_000, 10_000, 30_000]; // milliseconds: the client's own
const EVENTS = { newMessage: "message", roomMessage: "roomMessage", members: "members", online: "online" };

const HUB = "/chat";
const WITH_STATUS = /^(.*): Status code '(\d+)'$/s; // how the client writes an HTTP error: "body: Status code '401'"
const HUB_EXCEPTION = /^An unexpected error occurred invoking '.*' on the server\. HubException: (.*)$/s;
const CLOSED = /^Server returned an error on close: (.*)$/s;
const CHOSEN_TRANSPORT = /^Selecting transport '(\w+)'\.$/;

// The client keeps the service token and the reason of a refusal to itself: this one also tells the page.
class WatchingHttpClient extends signalR.DefaultHttpClient {
  constructor(logger, seen) {
    super(logger);
    this.seen = seen;
  }

  async send(request) {
    const url = new URL(request.url, location.href);
    const view = url.origin === location.origin ? url.pathname.replace(`${HUB}/`, "") : null; // null: at the service
    try {
      const response = await super.send(request);
      if (view !== null) this.seen.token(JSON.parse(response.content).accessToken);
      return response;
    } catch (error) {
      const [, body, status] = WITH_STATUS.exec(error.message) ?? [];
      // A connection that is not renewed stays; whether it may come again is for negotiate to say.
      if (status && view !== "refresh") {
        this.seen.refusal(new Refusal(Number(status), reasonIn(body), view === null ? "service" : "app"));
      }
      throw error;
    }
  }
}

export class Chat {
  // on: functions that the page gives: state(name, detail), token(token), transport(name), and for what the hub says
  // message(from, text, to), roomMessage(room, from, text), members(room, userIds), online(userIds).
  constructor(on, bearerToken) {
    this.on = on;
    this.bearerToken = bearerToken;
    this.connection = null;
  }

  // Connects; throws a Refusal when the app or the service refuses.
  async connect(transport, protocol) {
    let refusal = null;
    let reason = null; // why the server closed the connection, and let the client come again
    const logger = { log: (_level, text) => this.#notice(text) }; // the client's own would write tokens to the console
    const httpClient = new WatchingHttpClient(logger, { token: this.on.token, refusal: (seen) => (refusal = seen) });
    const options = { logger, httpClient };
    if (transport) options.transport = signalR.HttpTransportType[transport];
    if (this.bearerToken() !== null) options.accessTokenFactory = () => this.bearerToken();
    // It has nothing to do unless the app tells when to renew (SIGNALR_REFRESH).
    const renewal = new Renewal(httpClient, { accessTokenFactory: options.accessTokenFactory });
    const builder = new signalR.HubConnectionBuilder()
      .withUrl(HUB, options)
      .configureLogging(logger)
      .withAutomaticReconnect({
        nextRetryDelayInMilliseconds: ({ previousRetryCount }) =>
          isFinal(refusal) ? null : RETRY_DELAYS[previousRetryCount] ?? null,
      });
    if (protocol === "messagepack") builder.withHubProtocol(new signalR.protocols.msgpack.MessagePackHubProtocol());
    const connection = builder.build();
    this.connection = connection;
    for (const [target, name] of Object.entries(EVENTS)) connection.on(target, this.on[name]);
    connection.onreconnecting((error) => {
      reason = CLOSED.exec(error?.message)?.[1];
      this.on.state("reconnecting");
    });
    connection.onreconnected((id) => {
      refusal = null;
      this.on.state("connected", id);
    });
    connection.onclose((error) => {
      renewal.stop();
      if (refusal && reason) refusal.message += ` (${reason})`;
      this.on.state("disconnected", refusal ?? (error && closing(error)));
    });
    this.on.state("connecting");
    try {
      await connection.start();
    } catch (error) {
      this.on.state("disconnected");
      throw refusal ?? error;
    }
    this.on.state("connected", connection.connectionId);
  }

  // Calls a hub method and returns its result; throws a Refusal with what the app says, if it does not.
  async invoke(method, ...args) {
    if (this.connection?.state !== signalR.HubConnectionState.Connected) throw new Refusal(0, "Connect first.", "app");
    try {
      return await this.connection.invoke(method, ...args);
    } catch (error) {
      throw new Refusal(0, HUB_EXCEPTION.exec(error.message)?.[1] ?? error.message, "app");
    }
  }

  async disconnect() {
    await this.connection?.stop();
  }

  #notice(text) {
    const chosen = CHOSEN_TRANSPORT.exec(text);
    if (chosen) this.on.transport(chosen[1]);
  }
}

// Whether trying again leads nowhere: the app knows who it is, or wants a sign-in.
function isFinal(refusal) {
  return refusal?.by === "app" && (refusal.status === 401 || refusal.status === 403);
}

// What the server said when it closed the connection.
function closing(error) {
  const said = CLOSED.exec(error.message)?.[1];
  return said ? new Refusal(0, said, "closed") : error;
}

// The connection to the hub, by the official client (the global signalR).

import { Refusal, reasonIn } from "./api.js";

const HUB = "/chat";
const WITH_STATUS = /^(.*): Status code '(\d+)'$/s; // how the client writes an HTTP error: "body: Status code '401'"
const CHOSEN_TRANSPORT = /^Selecting transport '(\w+)'\.$/;

// The client keeps the service token and the reason of a refusal to itself: this one also tells the page.
class WatchingHttpClient extends signalR.DefaultHttpClient {
  constructor(logger, seen) {
    super(logger);
    this.seen = seen;
  }

  async send(request) {
    const url = new URL(request.url, location.href);
    const atApp = url.origin === location.origin && url.pathname === `${HUB}/negotiate`;
    try {
      const response = await super.send(request);
      if (atApp) this.seen.token(JSON.parse(response.content).accessToken);
      return response;
    } catch (error) {
      const [, body, status] = WITH_STATUS.exec(error.message) ?? [];
      if (status) this.seen.refusal(new Refusal(Number(status), reasonIn(body), atApp ? "app" : "service"));
      throw error;
    }
  }
}

export class Chat {
  // on: functions that the page gives: state(name, detail), token(token), transport(name), message(from, text, to).
  constructor(on, bearerToken) {
    this.on = on;
    this.bearerToken = bearerToken;
    this.connection = null;
  }

  // Connects; throws a Refusal when the app or the service refuses.
  async connect(transport) {
    let refusal = null;
    const logger = { log: (_level, text) => this.#notice(text) }; // the client's own would write tokens to the console
    const options = {
      logger,
      httpClient: new WatchingHttpClient(logger, { token: this.on.token, refusal: (seen) => (refusal = seen) }),
    };
    if (transport) options.transport = signalR.HttpTransportType[transport];
    if (this.bearerToken() !== null) options.accessTokenFactory = () => this.bearerToken();
    const connection = new signalR.HubConnectionBuilder()
      .withUrl(HUB, options)
      .configureLogging(logger)
      .withAutomaticReconnect()
      .build();
    this.connection = connection;
    connection.on("newMessage", this.on.message);
    connection.onreconnecting(() => this.on.state("reconnecting"));
    connection.onreconnected((id) => {
      refusal = null;
      this.on.state("connected", id);
    });
    connection.onclose((error) => this.on.state("disconnected", error && (refusal ?? error)));
    this.on.state("connecting");
    try {
      await connection.start();
    } catch (error) {
      this.on.state("disconnected");
      throw refusal ?? error;
    }
    this.on.state("connected", connection.connectionId);
  }

  async disconnect() {
    await this.connection?.stop();
  }

  #notice(text) {
    const chosen = CHOSEN_TRANSPORT.exec(text);
    if (chosen) this.on.transport(chosen[1]);
  }
}

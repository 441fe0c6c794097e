// Renews the sign-in of a connection, for a SignalR client that does not do it by itself yet.
//
// The service token of a connection ends with the sign-in that it was made for. A WebSocket may outlive it; long polling
// and what is sent over Server-Sent Events do not. This asks the app for another one in time:
//
//   const httpClient = new signalR.DefaultHttpClient(logger);
//   const renewal = new Renewal(httpClient, { accessTokenFactory });
//   new signalR.HubConnectionBuilder().withUrl("/chat", { httpClient, accessTokenFactory }).build();
//
// It needs nothing but what passes through the HTTP client: the app's answer to negotiate tells how long the token
// lives, the service's has the connection token, and the requests after that carry the token.

const LEAD = 5 * 60_000; // milliseconds before the end
const LONGEST_TIMER = 2 ** 31 - 1; // milliseconds
const OF_NEGOTIATE = ["negotiateVersion", "useStatefulReconnect"];

export class Renewal {
  #send;
  #options;
  #negotiate = null; // the request that the app answered, and its token; another one begins another connection
  #connectionToken = null;
  #token = null;
  #timer;

  // accessTokenFactory: as the client's; without one cookies must do. lead: how long before the end, in milliseconds.
  // onRefreshed(seconds, token): how long the new token lives, if the app tells. onFailed(error).
  constructor(httpClient, { accessTokenFactory, lead = LEAD, onRefreshed = () => {}, onFailed = () => {} } = {}) {
    this.#options = { accessTokenFactory, lead, onRefreshed, onFailed };
    this.#send = httpClient.send.bind(httpClient);
    httpClient.send = (request) => this.#pass(request);
  }

  // To be called when the connection is closed for good.
  stop() {
    clearTimeout(this.#timer);
    this.#negotiate = null;
  }

  // Renews now; rejects if the app refuses. The connection stays open in any case.
  async refresh() {
    clearTimeout(this.#timer);
    const negotiate = this.#negotiate;
    const response = await this.#send(await this.#refreshRequest(negotiate.request));
    if (this.#negotiate !== negotiate) return; // the client has connected anew meanwhile
    const { accessToken, tokenLifetimeSeconds } = JSON.parse(response.content);
    this.#token = accessToken ?? this.#token;
    this.#plan(tokenLifetimeSeconds);
    this.#options.onRefreshed(tokenLifetimeSeconds, this.#token);
  }

  async #pass(request) {
    if (request.method !== "POST" || !new URL(request.url).pathname.endsWith("/negotiate")) {
      return this.#send(this.#withToken(request));
    }
    const response = await this.#send(request);
    this.#learn(request, JSON.parse(response.content));
    return response;
  }

  // The app's answer leads to the service, whose answer has the connection token.
  #learn(request, answer) {
    if (answer.url && answer.accessToken) {
      this.stop();
      this.#token = answer.accessToken;
      this.#negotiate = { request, token: answer.accessToken, lifetime: answer.tokenLifetimeSeconds };
    } else if (answer.connectionToken && this.#negotiate) {
      this.#connectionToken = answer.connectionToken;
      this.#plan(this.#negotiate.lifetime);
    }
  }

  #plan(seconds) {
    if (!(seconds > 0)) return;
    const lifetime = seconds * 1000;
    const delay = lifetime > 2 * this.#options.lead ? lifetime - this.#options.lead : lifetime / 2;
    this.#timer = setTimeout(() => this.refresh().catch(this.#options.onFailed), Math.min(delay, LONGEST_TIMER));
  }

  async #refreshRequest({ url: negotiateUrl, headers, withCredentials, timeout }) {
    const url = new URL(negotiateUrl);
    url.pathname = url.pathname.replace(/\/negotiate$/, "/refresh");
    for (const name of OF_NEGOTIATE) url.searchParams.delete(name);
    url.searchParams.set("id", this.#connectionToken);
    const sent = { ...headers };
    if (this.#options.accessTokenFactory) {
      const token = await this.#options.accessTokenFactory(); // asked anew: the former one may have ended
      delete sent.Authorization;
      if (token) sent.Authorization = `Bearer ${token}`;
    }
    return { method: "POST", url: url.href, content: "", headers: sent, withCredentials, timeout };
  }

  // The client knows the first token only: in its place goes the newest.
  #withToken(request) {
    if (!this.#negotiate || request.headers?.Authorization !== `Bearer ${this.#negotiate.token}`) return request;
    return { ...request, headers: { ...request.headers, Authorization: `Bearer ${this.#token}` } };
  }
}

// Renews the sign-in of a connection, for a SignalR client that does not do it by itself yet.
//
// The service token of a connection ends with the sign-in that it was made for. A WebSocket may outlive it; long polling
// and what is sent over Server-Sent Events do not. This asks the app for another one in time:
//
//   const httpClient = new signalR.DefaultHttpClient(signalR.NullLogger.instance);
//   const renewal = new Renewal(httpClient, { accessTokenFactory });
//   new signalR.HubConnectionBuilder().withUrl("/chat", { httpClient, accessTokenFactory }).build();
//
// It needs nothing but what passes through the HTTP client: the app's answer to negotiate tells how long the token
// lives, the service's has the connection token, and the requests after that carry the token.

const LEAD = 5 * 60_000; // milliseconds before the end
const LONGEST_TIMER = 2 ** 31 - 1; // milliseconds
const SHORTEST_RETRY = 1000; // milliseconds
const OF_NEGOTIATE = ["negotiateVersion", "useStatefulReconnect"];

const warn = (error) => console.warn("The sign-in of the SignalR connection was not renewed:", error.message);

export class Renewal {
  #send;
  #options;
  #negotiate = null; // the request that the app answered, and its token; another one begins another connection
  #connectionToken = null;
  #token = null;
  #end = 0; // of the token, in milliseconds since 1970; 0 if the app does not tell
  #timer;

  // accessTokenFactory: as the client's; without one cookies must do. lead: how long before the end, in milliseconds.
  // onRefreshed(seconds, token): how long the new token lives, if the app tells. onFailed(error): it gives up; who
  // calls refresh() gets the error there.
  constructor(httpClient, { accessTokenFactory, lead = LEAD, onRefreshed = () => {}, onFailed = warn } = {}) {
    this.#options = { accessTokenFactory, lead, onRefreshed, onFailed };
    this.#send = httpClient.send.bind(httpClient);
    httpClient.send = (request) => this.#pass(request);
  }

  // To be called when the connection is closed for good.
  stop() {
    clearTimeout(this.#timer);
    this.#negotiate = null;
    this.#connectionToken = null;
  }

  // Renews now; rejects if that fails. The connection stays open in any case, and what may go better is tried again.
  async refresh() {
    if (this.#connectionToken === null) throw new Error("There is no connection to renew: it has to be started first.");
    const { error } = await this.#attempt();
    if (error) throw error;
  }

  async #refreshInTime() {
    const { error, isFinal } = await this.#attempt();
    if (isFinal) this.#options.onFailed(error);
  }

  async #attempt() {
    clearTimeout(this.#timer);
    const negotiate = this.#negotiate;
    try {
      await this.#renew(negotiate);
      return {};
    } catch (error) {
      return { error, isFinal: this.#negotiate === negotiate && !this.#planAgain(error) };
    }
  }

  async #renew(negotiate) {
    const response = await this.#send(await this.#refreshRequest(negotiate.request));
    const { accessToken, tokenLifetimeSeconds } = JSON.parse(response.content);
    if (this.#negotiate !== negotiate) return; // the client has connected anew meanwhile
    this.#token = accessToken ?? this.#token;
    this.#plan(tokenLifetimeSeconds);
    this.#options.onRefreshed(tokenLifetimeSeconds, this.#token);
  }

  async #pass(request) {
    if (request.method !== "POST" || !request.url.split("?")[0].endsWith("/negotiate")) {
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
    if (!(seconds > 0)) {
      this.#end = 0;
      return;
    }
    const lifetime = seconds * 1000;
    this.#end = Date.now() + lifetime;
    this.#wait(lifetime > 2 * this.#options.lead ? lifetime - this.#options.lead : lifetime / 2);
  }

  // No answer, or one that blames the server, may be another one halfway to the end; what was refused stays so.
  #planAgain(error) {
    const delay = (this.#end - Date.now()) / 2;
    const mayGoBetter = error.statusCode === undefined || error.statusCode >= 500;
    const isPlanned = mayGoBetter && delay >= SHORTEST_RETRY;
    if (isPlanned) this.#wait(delay);
    return isPlanned;
  }

  #wait(delay) {
    this.#timer = setTimeout(() => this.#refreshInTime(), Math.min(delay, LONGEST_TIMER));
  }

  async #refreshRequest({ url, headers, withCredentials, timeout }) {
    const [path, query] = url.split(/\?(.*)/s);
    const parameters = new URLSearchParams(query);
    for (const name of OF_NEGOTIATE) parameters.delete(name);
    parameters.set("id", this.#connectionToken);
    const sent = { ...headers };
    if (this.#options.accessTokenFactory) {
      const token = await this.#options.accessTokenFactory(); // asked anew: the former one may have ended
      delete sent.Authorization;
      if (token) sent.Authorization = `Bearer ${token}`;
    }
    const refreshUrl = `${path.replace(/\/negotiate$/, "/refresh")}?${parameters}`;
    return { method: "POST", url: refreshUrl, content: "", headers: sent, withCredentials, timeout };
  }

  // The client knows the first token only: in its place goes the newest.
  #withToken(request) {
    if (!this.#negotiate || request.headers?.Authorization !== `Bearer ${this.#negotiate.token}`) return request;
    return { ...request, headers: { ...request.headers, Authorization: `Bearer ${this.#token}` } };
  }
}

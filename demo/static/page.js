// The page: what is typed goes to the app and the hub, what they say is shown.

import { call } from "./api.js";
import { Chat } from "./chat.js";
import { at, onSubmit } from "./forms.js";
import { forgetModeration, moderateBy, showOnline } from "./people.js";
import { Rooms } from "./rooms.js";
import { decodeToken, element, showToken } from "./token.js";

const STATES = {
  disconnected: "Not connected",
  connecting: "Connecting…",
  connected: "Connected",
  reconnecting: "Connection lost, reconnecting…",
};
const TRANSPORTS = { WebSockets: "WebSockets", ServerSentEvents: "Server-Sent Events", LongPolling: "Long polling" };
const PROTOCOLS = { json: "JSON", messagepack: "MessagePack" };
const REFUSED_BY = { app: "The app refused", service: "The SignalR service refused" };
const KEPT_MESSAGES = 200;

const HAS_WINDOWS = at("stranger").hasAttribute("data-windows");
let bearerToken = null; // in this page's memory only: gone with the page
let userId = null;

const chat = new Chat(
  {
    state: showState,
    token: showServiceToken,
    transport: showTransport,
    message: (from, text, to) => showMessage(from, text, to === null ? "to everyone" : `to ${named(to)}`),
    roomMessage: (room, from, text) => showMessage(from, text, `in ${room}`),
    members: (room, userIds) => rooms.show(room, userIds),
    online: showOnline,
  },
  // A browser answers the intranet's challenge only if the page sets no Authorization header. With an empty token the
  // client sets none; without one it would send the service token of the lost connection when it connects again.
  () => bearerToken ?? (HAS_WINDOWS ? "" : null),
);

const invoke = (method, ...args) => chat.invoke(method, ...args);
const rooms = new Rooms(invoke);

// Who you are

function showUser(user, method) {
  at("sign-in").hidden = user !== null;
  at("signed-in").hidden = user === null;
  at("stranger").hidden = user !== null;
  at("sign-in-title").textContent = user ? "Signed in" : "Sign in";
  if (!user) return;
  at("initial").textContent = user.name.slice(0, 1);
  at("who").textContent = user.name;
  at("address").textContent = user.email;
  at("who-more").textContent = `${user.roles.join(", ")} · ${method}`;
}

async function signIn(form) {
  const { name, password, method } = Object.fromEntries(new FormData(form));
  const { user, accessToken } = await call("POST", method === "bearer" ? "/api/token" : "/api/session", {
    body: { name, password },
  });
  bearerToken = accessToken ?? null;
  form.elements.password.value = "";
  await chat.disconnect();
  showBearerToken();
  showUser(user, bearerToken ? "bearer token" : "cookie session");
  at("connect").elements.transport.focus();
}

async function signOut() {
  await chat.disconnect();
  await call("DELETE", "/api/session");
  bearerToken = null;
  showBearerToken();
  showServiceToken(null);
  showUser(null);
  hideRefusal();
  at("sign-in").elements.name.focus();
}

function showBearerToken() {
  at("bearer-token").hidden = bearerToken === null;
  if (bearerToken) showToken(at("bearer-token").querySelector("[data-token]"), bearerToken);
}

// The connection

async function connect(form) {
  hideRefusal();
  const { transport, protocol } = Object.fromEntries(new FormData(form));
  try {
    await chat.connect(transport, protocol).catch((error) => {
      // Chromium on Linux does not answer the very first challenge that a new profile meets, only all later ones.
      if (!(HAS_WINDOWS && error.by === "app" && error.status === 401)) throw error;
      return chat.connect(transport, protocol);
    });
  } catch (error) {
    showRefusal(error);
  }
}

function showState(state, detail) {
  at("state").textContent = STATES[state];
  at("state").dataset.state = state;
  const connected = state === "connected";
  const idle = state === "disconnected";
  at("facts").hidden = !connected;
  for (const choice of at("connect").querySelectorAll("select")) choice.disabled = !idle;
  at("connect").querySelector("[type=submit]").hidden = !idle;
  at("disconnect").hidden = idle;
  if (connected) showConnected(detail);
  if (idle) {
    rooms.forget();
    showOnline([]);
    forgetModeration();
  }
  if (idle && detail) showRefusal(detail);
}

function showConnected(connectionId) {
  at("connection-id").textContent = connectionId;
  at("protocol-in-use").textContent = PROTOCOLS[at("connect").elements.protocol.value];
  invoke("online").catch(() => {}); // a connection that broke meanwhile: the next one asks again
  rooms.joinAgain();
}

function showTransport(name) {
  at("transport-in-use").textContent = TRANSPORTS[name] ?? name;
}

function showServiceToken(token) {
  at("service-token").hidden = token === null;
  at("no-token").hidden = token !== null;
  const claims = token ? decodeToken(token).payload : {};
  userId = claims["asrs.s.uid"] ?? null;
  at("user-id").textContent = userId ?? "none";
  at("signed-in-by").textContent = claims["asrs.s.aut"] ?? "Bearer";
  showFact("principal", claims.realm && claims.name);
  showFact("realm", claims.realm);
  if (token) showToken(at("service-token").querySelector("[data-token]"), token);
}

function showFact(id, value) {
  at(id).textContent = value ?? "";
  at(id).parentElement.hidden = !value;
}

function showRefusal(error) {
  const title = error.by === "closed" ? "The connection was closed:" : "The connection failed:";
  at("refusal-title").textContent = error.status ? `${REFUSED_BY[error.by]} (${error.status}):` : title;
  at("refusal-reason").textContent = error.message;
  at("refusal").hidden = false;
}

function hideRefusal() {
  at("refusal").hidden = true;
}

// Messages

function named(user) {
  return user === userId ? "you" : user;
}

function showMessage(from, text, where) {
  const item = element("li", from === userId ? "own" : "");
  const head = element("p", "muted");
  head.append(element("strong", "", named(from)), ` ${where}`);
  head.append(element("time", "", new Date().toLocaleTimeString()));
  item.append(head, element("p", "text", text));
  const list = at("messages");
  list.append(item);
  while (list.children.length > KEPT_MESSAGES) list.firstElementChild.remove();
  at("empty").hidden = true;
  list.scrollTop = list.scrollHeight;
}

async function send(form) {
  const { text, to } = Object.fromEntries(new FormData(form));
  await (to === undefined ? invoke("sendToAll", text) : invoke("sendToUser", to, text));
  form.elements.text.value = "";
  form.elements.text.focus();
}

// Wiring

onSubmit("sign-in", signIn);
onSubmit("connect", connect);
onSubmit("send-all", send);
onSubmit("send-user", send);
moderateBy(invoke);
at("sign-out").addEventListener("click", () => signOut().catch(showRefusal));
at("disconnect").addEventListener("click", () => chat.disconnect());
for (const chip of document.querySelectorAll("[data-user]")) {
  chip.addEventListener("click", () => {
    const { name, password } = at("sign-in").elements;
    name.value = chip.dataset.user;
    password.value = chip.dataset.password;
    at("sign-in").querySelector("[type=submit]").focus();
  });
}
call("GET", "/api/session").then(({ user }) => showUser(user, "cookie session"), showRefusal);

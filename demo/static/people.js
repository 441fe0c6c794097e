// Who is online, and what moderators may do about it.

import { at, onSubmit } from "./forms.js";
import { element } from "./token.js";

const DONE = {
  viewUserHistory: (user, texts) => (texts.length ? `What ${user} wrote to everyone and in rooms:` : `${user} wrote nothing.`),
  banUser: (user) => `${user} is banned.`,
  liftBan: (user, wasBanned) => (wasBanned ? `${user} may come in again.` : `${user} was not banned.`),
};

export function showOnline(userIds) {
  at("online").replaceChildren(...userIds.map(person));
  at("nobody").hidden = userIds.length > 0;
}

function person(userId) {
  const item = element("li");
  const button = element("button", "", userId);
  button.type = "button";
  button.title = "Write to this user, or moderate";
  button.addEventListener("click", () => {
    at("moderate").elements.user.value = userId;
    at("send-user").elements.to.value = userId;
    at("send-user").elements.text.focus();
  });
  item.append(button);
  return item;
}

// invoke: calls a hub method.
export function moderateBy(invoke) {
  onSubmit("moderate", async (form, button) => {
    const user = form.elements.user.value;
    forgetModeration();
    const result = await invoke(button.value, user);
    at("moderated").textContent = DONE[button.value](user, result);
    if (button.value === "viewUserHistory") at("history").replaceChildren(...result.map(said));
  });
}

export function forgetModeration() {
  at("moderated").textContent = "";
  at("history").replaceChildren();
}

function said({ text, room, at: time }) {
  const item = element("li", "", text);
  item.append(element("div", "muted", `${room === null ? "to everyone" : `in ${room}`}, ${new Date(time).toLocaleTimeString()}`));
  return item;
}

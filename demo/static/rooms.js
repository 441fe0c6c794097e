// The rooms that this connection is in.

import { at, onSubmit } from "./forms.js";
import { element } from "./token.js";

export class Rooms {
  // invoke: calls a hub method.
  constructor(invoke) {
    this.invoke = invoke;
    this.members = new Map(); // by the room's name
    this.nowhere = at("send-room").elements.room.options[0]; // what stands there without a room
    onSubmit("join", async (form) => {
      await this.#join(form.elements.room.value.trim());
      form.elements.room.value = "";
    });
    onSubmit("send-room", async (form) => {
      await this.invoke("sendToRoom", form.elements.room.value, form.elements.text.value);
      form.elements.text.value = "";
      form.elements.text.focus();
    });
  }

  // Who is in a room, as the hub says.
  show(room, userIds) {
    if (!this.members.has(room)) return; // left already
    this.members.set(room, userIds);
    this.#draw();
  }

  // A new connection is in no room: this one goes where the last one was.
  async joinAgain() {
    for (const room of [...this.members.keys()]) await this.#join(room).catch(() => {}); // then it is not shown
  }

  forget() {
    this.members.clear();
    this.#draw();
  }

  async #join(room) {
    if (!this.members.has(room)) this.members.set(room, []); // the hub tells of members before it answers
    try {
      await this.invoke("join", room);
    } catch (error) {
      this.members.delete(room);
      throw error;
    } finally {
      this.#draw();
    }
    at("send-room").elements.room.value = room;
  }

  async #leave(room) {
    await this.invoke("leave", room);
    this.members.delete(room);
    this.#draw();
  }

  #draw() {
    const select = at("send-room").elements.room;
    const chosen = select.value;
    const options = [...this.members.keys()].map((room) => element("option", "", room));
    select.replaceChildren(...(options.length ? options : [this.nowhere]));
    if (this.members.has(chosen)) select.value = chosen;
    at("rooms").replaceChildren(...[...this.members].map(([room, userIds]) => this.#item(room, userIds)));
  }

  #item(room, userIds) {
    const item = element("li");
    const leave = element("button", "", "Leave");
    leave.type = "button";
    leave.append(element("span", "unseen", ` ${room}`));
    leave.addEventListener("click", () => {
      this.#leave(room).catch((error) => (at("join").querySelector("[data-problem]").textContent = error.message));
    });
    item.append(element("strong", "", room), element("span", "muted", userIds.join(", ")), leave);
    return item;
  }
}

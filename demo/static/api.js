// Calls to the demo's own routes. What they refuse becomes a Refusal with the server's reason.

export class Refusal extends Error {
  constructor(status, reason, by) {
    super(reason);
    this.status = status;
    this.by = by;
  }
}

export async function call(method, path, { body } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Refusal(0, "The app cannot be reached.", "app");
  }
  const text = await response.text();
  if (!response.ok) throw new Refusal(response.status, reasonIn(text) || response.statusText, "app");
  return JSON.parse(text);
}

// The reason in a body of the form {"error": "…"}, else the body.
export function reasonIn(body) {
  try {
    return JSON.parse(body).error ?? body;
  } catch {
    return body;
  }
}

// JSON Web Tokens, for reading only: whoever trusts one must verify it, and that is the server's part.

const MEANINGS = {
  "asrs.s.uid": "the user id that the service routes by",
  "asrs.s.aut": "how you signed in",
  aud: "what the token opens",
  exp: "valid until",
  iat: "issued at",
  nbf: "valid from",
  iss: "who issued it",
  sub: "whom it is about",
};
const TIMES = new Set(["exp", "iat", "nbf"]);

export function decodeToken(token) {
  const [header, payload] = token.split(".").slice(0, 2).map(decodePart);
  return { header, payload };
}

function decodePart(part) {
  const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.codePointAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

export function showToken(place, token) {
  const { header, payload } = decodeToken(token);
  const list = element("dl", "claims");
  for (const [type, value] of Object.entries(payload)) list.append(claim(type, value));
  const signature = element("p", "muted", `${header.typ}, signed with ${header.alg}; ${token.length} characters`);
  place.replaceChildren(list, signature);
}

function claim(type, value) {
  const row = element("div");
  const meaning = [MEANINGS[type], TIMES.has(type) && new Date(value * 1000).toLocaleString()].filter(Boolean).join(" ");
  const shown = element("dd", "", JSON.stringify(value));
  if (meaning) shown.append(element("small", "muted", meaning));
  row.append(element("dt", "", type), shown);
  return row;
}

// Text becomes text: nothing that a message or a token says can become markup.
export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

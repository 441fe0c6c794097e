// An OpenID Connect provider on a free port of the loopback interface, for the tests.
//
// Prints one line of JSON, {"issuer": …}, when it is ready. Each line "rotate" on standard input makes it sign with new
// keys from then on and forget the old ones; it answers "rotated". It ends when standard input does, so that it never
// outlives the tests, however these end.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Provider } from "oidc-provider";

const ALGORITHMS = { "api://chat": "RS256", "api://chat-es256": "ES256", "api://other": "RS256" };

function signingKeys() {
  const pairs = [
    ["RS256", generateKeyPairSync("rsa", { modulusLength: 2048 })],
    ["ES256", generateKeyPairSync("ec", { namedCurve: "P-256" })],
  ];
  return pairs.map(([alg, { privateKey }]) => ({
    ...privateKey.export({ format: "jwk" }), alg, use: "sig", kid: randomUUID(),
  }));
}

function providerOf(issuer) {
  return new Provider(issuer, {
    jwks: { keys: signingKeys() },
    cookies: { keys: [randomUUID()] },
    clients: [
      {
        client_id: "page",
        token_endpoint_auth_method: "none",
        application_type: "native",
        redirect_uris: ["http://127.0.0.1/callback"],
      },
      {
        client_id: "robot",
        client_secret: "only-for-tests",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    conformIdTokenClaims: false,
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.org`, email_verified: true }),
    }),
    extraTokenClaims: () => ({ role: ["staff", "moderator"] }),
    ttl: { AccessToken: 600, ClientCredentials: 600, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          audience: resource,
          scope: "chat",
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: ALGORITHMS[resource] } },
        }),
      },
    },
  });
}

const server = createServer((request, response) => handle(request, response));
let handle;

server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  handle = providerOf(issuer).callback();
  console.log(JSON.stringify({ issuer }));

  const commands = createInterface({ input: process.stdin });
  commands.on("line", (command) => {
    if (command === "rotate") {
      handle = providerOf(issuer).callback();
      console.log("rotated");
    }
  });
  commands.on("close", () => process.exit(0));
});

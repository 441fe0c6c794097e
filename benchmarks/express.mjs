// negotiate with Express, the peer on Node.js.  Usage: node express.mjs documented|tuned PORT
//
// "documented" is the code of Microsoft's article on client negotiation (learn.microsoft.com, azure-signalr,
// signalr-concept-client-negotiation, "Self-exposing negotiate endpoint"): jsonwebtoken gets the access key as a text,
// at each request.  "tuned" does everything once that can be done once: above all it makes a key object of the text,
// or jsonwebtoken first tries it as a PEM private key, each time, for as long as OpenSSL takes to find out.
import { createSecretKey } from 'node:crypto';
import express from 'express';
import jwt from 'jsonwebtoken';

const [kind, port] = process.argv.slice(2);
const connectionString = process.env.SIGNALR_CONNECTION_STRING;
const hub = 'open';
const app = express();

if (kind === 'documented') {
  app.post('/open/negotiate', (request, response) => {
    const endpoint = /Endpoint=(.*?);/.exec(connectionString)[1];
    const accessKey = /AccessKey=(.*?);/.exec(connectionString)[1];
    const url = `${endpoint}/client/?hub=${hub}`;
    const token = jwt.sign({ aud: url }, accessKey, { expiresIn: 3600 });
    response.json({ url: url, accessToken: token });
  });
} else {
  const endpoint = /Endpoint=(.*?);/.exec(connectionString)[1];
  const key = createSecretKey(/AccessKey=(.*?);/.exec(connectionString)[1], 'utf8');
  const url = `${endpoint}/client/?hub=${hub}`;
  app.post('/open/negotiate', (request, response) => {
    const token = jwt.sign({ aud: url }, key, { expiresIn: 3600 });
    response.json({ url, accessToken: token });
  });
}

app.listen(Number(port), '127.0.0.1');

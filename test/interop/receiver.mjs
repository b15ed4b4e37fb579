// Receives notifications with the CloudEvents SDK and checks their tokens with
// jose, with the key set and with the key in its documented form. It prints a
// line of JSON for each request; the first says where it listens.
//
// node receiver.mjs '{"base","issuer"}'
import { createServer } from "node:http";
import { HTTP } from "cloudevents";
import { createRemoteJWKSet, importSPKI, jwtVerify } from "jose";

const { base, issuer } = JSON.parse(process.argv[2]);

const keySet = createRemoteJWKSet(new URL("/.well-known/jwks.json", base));
const { public_key: encoded } = await (await fetch(`${base}/v1/keys/fic`)).json();
const publicKey = await importSPKI(Buffer.from(encoded, "base64").toString(), "ES256");

const print = (line) => console.log(JSON.stringify(line));
let sink;

async function receive(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const token = request.headers.authorization.replace("Bearer ", "");
  const expected = { issuer, audience: sink, algorithms: ["ES256"], requiredClaims: ["jti", "sub", "exp", "iat"] };
  const bySet = await jwtVerify(token, keySet, expected);
  const byKey = await jwtVerify(token, publicKey, expected);
  const seen = {
    method: request.method,
    contentType: request.headers["content-type"] ?? "",
    claims: bySet.payload,
    sameByKey: JSON.stringify(bySet.payload) === JSON.stringify(byKey.payload),
  };
  if (request.method === "GET") {
    print(seen);
    const verification = request.headers["x-fic-verification-challenge"];
    return response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ verification }));
  }
  const message = { headers: request.headers, body: Buffer.concat(chunks).toString() };
  const event = HTTP.toEvent(message);
  print({ ...seen, isEvent: HTTP.isEvent(message), valid: event.validate(), event });
  response.writeHead(204).end();
}

const server = createServer((request, response) => {
  receive(request, response).catch((error) => {
    print({ error: String(error) });
    response.writeHead(500).end();
  });
});
server.listen(0, "127.0.0.1", () => {
  sink = `http://127.0.0.1:${server.address().port}/hook`;
  print({ sink });
});

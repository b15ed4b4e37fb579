// Receives notifications and checks who sent them.
//
//   npm install jose cloudevents
//   FATTORINO=http://127.0.0.1:8480 SINK=http://127.0.0.1:9001/ node receiver.mjs
import { createServer } from "node:http";
import { HTTP } from "cloudevents";
import { createRemoteJWKSet, jwtVerify } from "jose";

const sink = process.env.SINK; // the URL of this receiver, exactly as subscribed with
const issuer = process.env.ISSUER ?? "https://api-v2.fattureincloud.it";
const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", process.env.FATTORINO));

async function checkToken(request) {
  const token = (request.headers.authorization ?? "").replace(/^Bearer /i, "");
  const { payload } = await jwtVerify(token, keys, { issuer, audience: sink, algorithms: ["ES256"] });
  return payload;
}

async function receive(request, response) {
  let claims;
  try {
    claims = await checkToken(request);
  } catch (error) {
    console.error(`refused: ${error.message}`);
    return response.writeHead(401).end();
  }
  if (request.method === "GET") { // do we want notifications? Say the challenge back
    const name = "x-fic-verification-challenge";
    const verification = request.headers[name] ?? new URL(request.url, sink).searchParams.get(name);
    return response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ verification }));
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const event = HTTP.toEvent({ headers: request.headers, body: Buffer.concat(chunks).toString() });
  if (claims.jti !== event.id || claims.sub !== event.subject) { // the token of another notification
    return response.writeHead(401).end();
  }
  const { ids } = event.data.data ?? event.data; // binary mode wraps the data once more
  // The same notification may come twice, with the same id: keep what you have seen.
  console.log(`${event.type} ${event.subject} ids=${ids} id=${event.id}`);
  response.writeHead(204).end();
}

createServer((request, response) => {
  receive(request, response).catch((error) => {
    console.error(error);
    response.writeHead(400).end(); // not a notification
  });
}).listen(new URL(sink).port, new URL(sink).hostname, () => console.log(`listening for ${sink}`));

// Receives notifications signed after Standard Webhooks and checks who sent them.
//
//   npm install standardwebhooks
//   SINK=http://127.0.0.1:9001/ SECRET_FILE=secret.txt node native.mjs
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const sink = new URL(process.env.SINK);
const secret = () => readFileSync(process.env.SECRET_FILE, "utf8").trim(); // whsec_…

async function receive(request, response) {
  if (request.method === "GET") { // do we want notifications? Say the challenge back
    return response.writeHead(200, { "Content-Type": "text/plain" }).end(request.headers["webhook-challenge"]);
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let event;
  try {
    event = new Webhook(secret()).verify(Buffer.concat(chunks), request.headers); // the body as it came
  } catch (error) {
    console.error(`refused: ${error.message}`);
    return response.writeHead(401).end();
  }
  // The same notification may come twice, with the same id: keep what you have seen.
  console.log(`${event.type ?? event.event} data=${JSON.stringify(event.data)} id=${request.headers["webhook-id"]}`);
  response.writeHead(204).end();
}

createServer((request, response) => {
  receive(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
}).listen(sink.port, sink.hostname, () => console.log(`listening for ${sink}`));

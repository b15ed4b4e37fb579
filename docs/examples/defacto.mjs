// Receives notifications of the Defacto contract. They carry no signature: who
// knows the URL, key and all, is taken for Defacto.
//
//   SINK='http://127.0.0.1:9001/?key=a-long-random-text' node defacto.mjs
import { createHash, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const sink = new URL(process.env.SINK);
const hash = (key) => createHash("sha256").update(key ?? "").digest();
const want = hash(sink.searchParams.get("key"));

async function receive(request, response) {
  if (!timingSafeEqual(want, hash(new URL(request.url, sink).searchParams.get("key")))) {
    console.error("refused: the key is another");
    return response.writeHead(401).end();
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const told = JSON.parse(Buffer.concat(chunks));
  // The same notification may come twice, with the same Webhook-Id: keep what you have seen.
  console.log(`${told.event_type} status=${told.status} id=${told.id} delivery=${request.headers["webhook-id"]}`);
  response.writeHead(204).end();
}

createServer((request, response) => {
  receive(request, response).catch((error) => {
    console.error(error);
    response.writeHead(400).end(); // not a notification
  });
}).listen(sink.port, sink.hostname, () => console.log("listening"));

// Subscribes under the native and the FacturaScripts contract, publishes, and
// has the published libraries verify what comes: standardwebhooks and svix for
// Standard Webhooks, http-message-signatures for RFC 9421, and cloudevents reads
// the formats of CloudEvents. It prints what they say, a member for each sink.
//
// node webhooks.mjs '{"base","api","publish","company"}'
import { createHash, createPublicKey } from "node:crypto";
import { createServer } from "node:http";
import { HTTP } from "cloudevents";
import { createVerifier, httpbis } from "http-message-signatures";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

const { base, api, publish, company } = JSON.parse(process.argv[2]);

async function call(token, path, body, type = "application/json") {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": type };
  const answer = await fetch(base + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

// What each sink hears, and what waits for it.
const heard = new Map();
const waiting = new Map();
const server = createServer(async (request, response) => {
  if (request.method === "GET") return response.end(request.headers["webhook-challenge"]);
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  heard.set(request.url, { url: url + request.url, headers: request.headers, body: Buffer.concat(chunks).toString() });
  waiting.get(request.url)?.();
  response.writeHead(204).end();
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}`;

const wishes = {
  "/binary": { format: "binary" },
  "/structured": { format: "structured" },
  "/batch": { format: "batch", batch_size: 2, batch_linger: 60, types: ["invoice.paid", "invoice.unpaid"] },
  "/standard": { format: "standard" },
  "/thin": { format: "standard", thin: true },
  "/rotated": { format: "standard" },
  "/httpsig": { format: "binary", signature: "httpsig" },
  "/facturascripts": { contract: "facturascripts" },
};
const subscriptions = `/v1/companies/${company}/subscriptions`;
const made = {};
for (const [path, wish] of Object.entries(wishes)) {
  made[path] = await call(api, subscriptions, { sink: url + path, types: ["invoice.paid"], ...wish });
}
const { secret: newest } = await call(api, `${subscriptions}/${made["/rotated"].id}/rotate`, { overlap_seconds: 600 });

const all = Promise.all(Object.keys(wishes).map((path) => new Promise((resolve) => waiting.set(path, resolve))));
const event = (id, type) => ({
  specversion: "1.0", id, source: "/erp", type, companyid: String(company),
  time: "2026-03-01T12:00:00Z", data: { id: 42, total: 12.5, note: "perché 💶" },
});
const events = [event("paid-1", "invoice.paid"), event("unpaid-1", "invoice.unpaid")];
await call(publish, "/v1/events", events, "application/cloudevents-batch+json");
await all;
server.close();

// What a library says of a notification: "good", or why not.
function judge(Library, secret, { headers, body }) {
  try {
    new Library(secret).verify(body, headers);
    return "good";
  } catch (error) {
    return error.message;
  }
}

// What the CloudEvents SDK reads: "type entity note" of each event.
function read({ headers, body }) {
  const message = { headers, body };
  if (!HTTP.isEvent(message)) return [];
  return [HTTP.toEvent(message)].flat().map((e) => `${e.type} ${e.partitionkey} ${e.data.note}`).sort();
}

async function judgeHTTP(publicKey, { url, headers, body }) {
  const x = Buffer.from(publicKey.replace("whpk_", ""), "base64").toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const digest = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
  if (headers["content-digest"] !== digest) return "the digest is of another body";
  const keyLookup = async () => ({ algs: ["ed25519"], verify: createVerifier(key, "ed25519") });
  const requiredFields = ["@method", "@target-uri", "content-digest", "webhook-id", "webhook-timestamp"];
  try {
    return (await httpbis.verifyMessage({ keyLookup, requiredFields }, { method: "POST", url, headers })) ? "good" : "bad";
  } catch (error) {
    return error.message;
  }
}

const said = {};
for (const path of Object.keys(wishes)) {
  const notification = heard.get(path);
  const forged = { ...notification, body: notification.body.replace("42", "43") };
  const { secret, public_key: publicKey } = made[path];
  said[path] = {
    events: read(notification),
    id: notification.headers["webhook-id"],
    body: JSON.parse(notification.body),
    ...(publicKey
      ? {
          httpsig: await judgeHTTP(publicKey, notification),
          moved: await judgeHTTP(publicKey, { ...notification, url: url + "/elsewhere" }),
          forged: await judgeHTTP(publicKey, forged),
        }
      : {
          standardwebhooks: judge(Standard, secret, notification),
          svix: judge(Svix, secret, notification),
          forged: judge(Standard, secret, forged),
          stranger: judge(Svix, "whsec_c3RyYW5nZXJzdHJhbmdlcnN0cmFuZ2VyIQ==", notification),
        }),
  };
}
said["/rotated"].newest = judge(Standard, newest, heard.get("/rotated"));
console.log(JSON.stringify(said));

// Plays the tutorial of Defacto's webhooks with nothing but fetch: say hello,
// create a webhook, create an invoice that is not a draft, hear that it was
// submitted and verified. Then what the API description has besides. It prints
// each step's answer, and what was heard.
//
// node defacto.mjs '{"base","token"}'
import { createServer } from "node:http";

const { base, token } = JSON.parse(process.argv[2]);

async function call(method, path, body) {
  const answer = await fetch(base + path, {
    method,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, type: answer.headers.get("content-type") ?? "", body: text ? JSON.parse(text) : null };
}

const heard = [];
let told = () => {};
const sink = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  heard.push({ url: request.url, headers: request.headers, body: JSON.parse(Buffer.concat(chunks)) });
  response.writeHead(200).end();
  told();
});
await new Promise((resolve) => sink.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${sink.address().port}/in?apikey=a%20secret&b=1`;

// hear waits until so many notifications have come.
const hear = (count) => new Promise((resolve) => {
  told = () => heard.length >= count && resolve();
  told();
});

const invoice = (number, more) => ({
  buyer: { identifier: "123456789", identifier_type: "siren", name: "Buyer SAS" },
  seller: { identifier: "987654321", identifier_type: "siren", name: "Seller SAS" },
  invoice_number: number, issued_at: "2026-02-01T00:00:00+00:00", due_at: "2026-03-01T00:00:00+00:00",
  total_amount: 12100, currency: "EUR", ...more,
});

const steps = {};
steps.hello = await call("GET", "/hello");
steps.webhook = await call("POST", "/webhooks", {
  event_types: ["Invoice.SUBMITTED", "Invoice.VERIFIED", "Invoice.TO_EDIT", "Invoice.DELETED"], to_url: url,
});
steps.invoice = await call("POST", "/invoices", invoice("F-1", { is_draft: false }));
await hear(2);
steps.verified = await call("GET", `/invoice/${steps.invoice.body.id}`);

steps.draft = await call("POST", "/invoices", { invoice_number: "F-2" });
steps.incomplete = await call("POST", `/invoice/${steps.draft.body.id}/submit`);
steps.completed = await call("PATCH", `/invoice/${steps.draft.body.id}`, invoice("F-2", { metadata: { scenario: "REJECT" } }));
steps.submitted = await call("POST", `/invoice/${steps.draft.body.id}/submit`);
steps.again = await call("POST", `/invoice/${steps.draft.body.id}/submit`);
await hear(4);
steps.deleted = await call("DELETE", `/invoice/${steps.draft.body.id}`);
await hear(5);
steps.gone = await call("GET", `/invoice/${steps.draft.body.id}`);

steps.firstPage = await call("GET", "/webhooks?page_size=1");
steps.renamed = await call("PATCH", `/webhook/${steps.webhook.body.id}`, { name: "Live" });
steps.wildcard = await call("PATCH", `/webhooks/${steps.webhook.body.id}`, { event_types: ["Invoice.*"] });
steps.removed = await call("DELETE", `/webhook/${steps.webhook.body.id}`);
steps.removedAgain = await call("DELETE", `/webhook/${steps.webhook.body.id}`);
sink.close();
console.log(JSON.stringify({ url, steps, heard }));

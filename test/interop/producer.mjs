// Publishes events with the CloudEvents SDK in each of the three modes, and
// prints the answers as JSON.
//
// node producer.mjs '{"base","token","company"}'
import { CloudEvent, emitterFor, Mode } from "cloudevents";

const { base, token, company } = JSON.parse(process.argv[2]);

async function post({ headers, body }) {
  const response = await fetch(`${base}/v1/events`, {
    method: "POST",
    headers: { ...headers, Authorization: `Bearer ${token}` },
    body,
  });
  return { status: response.status, body: await response.json() };
}

const event = (id, attributes) => new CloudEvent({
  id,
  source: "https://erp.example/invoicing",
  type: "invoice.created",
  companyid: String(company),
  time: "2026-03-01T09:30:00.000Z",
  ...attributes,
});

// In binary mode this SDK puts a subject into the header as it is: ASCII only.
const json = event("binary-1", { subject: "invoice 42", data: { id: 42, total: 122.5 } });
const text = event("structured-1", { subject: "fattura n. 42 – “caffè”", datacontenttype: "text/plain", data: "pagata: 122,50 €" });
const bytes = event("structured-2", { datacontenttype: "application/octet-stream", data: new Uint8Array([0, 255, 16]) });
const batch = [event("batch-1", { data: { id: 43 } }), event("batch-2", { type: "invoice.payed", data: { id: 43 } })];

const answers = {
  binary: await emitterFor(post, { mode: Mode.BINARY })(json),
  structured: await emitterFor(post, { mode: Mode.STRUCTURED })(text),
  bytes: await emitterFor(post, { mode: Mode.STRUCTURED })(bytes),
  // The SDK has no batch mode of its own: a batch is an array of structured events.
  batch: await post({ headers: { "Content-Type": "application/cloudevents-batch+json" }, body: JSON.stringify(batch) }),
  again: await emitterFor(post, { mode: Mode.BINARY })(json),
  changed: await emitterFor(post, { mode: Mode.BINARY })(json.cloneWith({ data: { id: 44 } })),
};
console.log(JSON.stringify(answers));

// Drives all six operations with the official TypeScript SDK of Fatture in
// Cloud, unmodified, and prints what it was answered as JSON.
//
// node fattureincloud.mjs '{"base","token","stranger","company","sink","moved","mute"}'
import sdk from "@fattureincloud/fattureincloud-ts-sdk";

const { base, token, stranger, company, sink, moved, mute } = JSON.parse(process.argv[2]);

const client = (accessToken) => new sdk.WebhooksApi(new sdk.Configuration({ basePath: base, accessToken }));
const api = client(token);
const T = sdk.EventType;
const prefix = "it.fattureincloud.webhooks.";
const answers = {};

// step keeps what the SDK gave for a call: its data, or its error.
async function step(name, call) {
  try {
    const { status, data, headers } = await call();
    answers[name] = { status, data, contentType: headers["content-type"] ?? "" };
  } catch (error) {
    if (!error.response) throw error;
    const { status, data, headers } = error.response;
    answers[name] = { status, data, contentType: headers["content-type"] ?? "", retryAfter: headers["retry-after"] ?? "" };
  }
  return answers[name].data?.data;
}

await step("list of none", () => api.listWebhooksSubscriptions(company));

const first = await step("create", () => api.createWebhooksSubscription(company, {
  data: {
    sink,
    types: [T.ItFattureincloudWebhooksEntitiesAllCreate, T.ItFattureincloudWebhooksIssuedDocumentsInvoicesUpdate, prefix + "no.such.type"],
    verification_method: "header",
    config: { mapping: "structured" },
  },
}));
await step("create with a type that is taken", () => api.createWebhooksSubscription(company, {
  data: { sink, types: [T.ItFattureincloudWebhooksEntitiesClientsCreate, T.ItFattureincloudWebhooksReceiptsCreate, T.ItFattureincloudWebhooksIssuedDocumentsSelfInvoicesCreate] },
}));
await step("create with nothing left", () => api.createWebhooksSubscription(company, {
  data: { sink, types: [T.ItFattureincloudWebhooksEntitiesClientsCreate] },
}));
await step("create without a body", () => api.createWebhooksSubscription(company));
await step("create with a bad sink", () => api.createWebhooksSubscription(company, {
  data: { sink: "ftp://example.com/", types: [T.ItFattureincloudWebhooksTaxesCreate] },
}));

await step("get", () => api.getWebhooksSubscription(company, first.id));
await step("list", () => api.listWebhooksSubscriptions(company));
await step("modify the types", () => api.modifyWebhooksSubscription(company, first.id, {
  data: { types: [T.ItFattureincloudWebhooksEntitiesSuppliersDelete] },
}));
await step("modify the sink", () => api.modifyWebhooksSubscription(company, first.id, {
  data: { sink: moved, verification_method: "query" },
}));
await step("verify what is verified", () => api.verifyWebhooksSubscription(company, first.id));

const silent = await step("create with a mute sink", () => api.createWebhooksSubscription(company, {
  data: { sink: mute, types: [T.ItFattureincloudWebhooksProductsStockUpdate] },
}));
await step("verify", () => api.verifyWebhooksSubscription(company, silent.id, { data: { verification_method: "query" } }));
await step("verify too early", () => api.verifyWebhooksSubscription(company, silent.id));

await step("delete", () => api.deleteWebhooksSubscription(company, first.id));
await step("get what is deleted", () => api.getWebhooksSubscription(company, first.id));
await step("delete what is deleted", () => api.deleteWebhooksSubscription(company, first.id));
await step("get without an id", () => api.getWebhooksSubscription(company, ""));

await step("list with a bad token", () => client("nobody").listWebhooksSubscriptions(company));
await step("list of another company", () => api.listWebhooksSubscriptions(company + 1));
await step("list of another app", () => client(stranger).listWebhooksSubscriptions(company));
await step("get of another app", () => client(stranger).getWebhooksSubscription(company, silent.id));

console.log(JSON.stringify(answers));

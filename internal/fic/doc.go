// Package fic is the whole Fatture in Cloud contract: the subscriptions API
// that its official SDKs speak, the notifications that its receivers expect,
// its catalog of event types, and its rules for answers, retries, expiry and
// verification.
//
// [Contract] is what the engine needs of it, [Door] the six operations over
// HTTP. It follows OpenAPI 2.1.8 of Fatture in Cloud and the documentation
// since general availability; where neither answers, the decisions numbered A…
// in docs/contracts/fatture-in-cloud.md do.
package fic

// Package defacto is the whole Defacto contract: the webhook API that its
// clients speak, the notifications that its receivers expect, its catalog of
// event types, and its rules for answers and retries; and beside it a sandbox
// of its invoices, for its tutorial and for tests.
//
// [Contract] is what the engine needs of it, [Door] the operations over HTTP,
// [Sandbox] the invoices. It follows the API description v1.0.0 of Defacto and
// its guide "Webhooks enable you to get live status updates". What neither
// says is decided here, and said where it is decided:
//
//   - The id of a webhook and of an invoice is a UUID made of its number.
//   - A type is any Entity.STATUS, in the catalog or not; there are no
//     wildcards. A name may be left out, PATCH merges, null counts as left out,
//     and members that are not known are passed over.
//   - The id in a notification is the resource's. That of the delivery is in the
//     header field Webhook-Id, the same on every attempt.
//   - Transition and status come from the event's attributes transitionname and
//     status, else from its data; the status else from the type. What is not
//     known is null.
//   - What fails by how things stand, as submitting an invoice twice, is the
//     402 of Defacto's list; 403, 405, 413 and 503 are in no list of Defacto.
//   - Nothing of retries, timeouts and the meaning of answers is published:
//     they are those of Fattorino.
//   - A request names no company, for at Defacto the API key does. Here the
//     token does, where it is made for one company; else the header field
//     X-Company-Id does, else the query parameter company.
//   - Defacto's keys know no scopes. A token without scopes may do everything
//     here; one that is limited to scopes needs defacto:r to read and
//     defacto:a to change.
package defacto

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
//   - Nothing of retries, timeouts and the meaning of answers is published:
//     they are those of Fattorino.
//   - A request names no company, for at Defacto the API key does. Here the
//     token does, where it is made for one company; else the header field
//     X-Company-Id does, else the query parameter company.
//   - Defacto's keys know no scopes. A token without scopes may do everything
//     here; one that is limited to scopes needs defacto:r to read and
//     defacto:a to change.
package defacto

// Package native is Fattorino's own contract, made of public standards:
// CloudEvents 1.0.2, one by one or in batches, or the body of Standard Webhooks
// 1.0.0 for what is sent, Standard Webhooks, HTTP Message Signatures (RFC 9421)
// or a JSON Web Token for the signature, and a challenge or the abuse protection
// of CloudEvents' HTTP Web Hooks 1.0.2 for the handshake. People can be told as
// well, by messages for chat tools, which know none of these.
//
// [Contract] is what the engine needs of it. A subscriber chooses by
// [fattorino.Format] and [fattorino.Options]; [Contract.CheckOptions] says what
// may be chosen. Of the ids that rules are cited by, WH-3 and its like are of
// HTTP Web Hooks 1.0.2, sections 2 and 3, AP-5 and its like of its section 4, and
// SW-2 and its like of Standard Webhooks.
package native

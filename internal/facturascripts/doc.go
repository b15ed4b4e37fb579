// Package facturascripts is the contract of webhooks that the documentation of
// FacturaScripts recommends to plugins: event names, a body with an id of its
// own, a signature, retries by powers of five, ten seconds for an attempt.
//
// FacturaScripts itself has no webhooks and no API to subscribe to them: what
// its page asks for is a place where URLs are registered, types are picked, the
// log is read, and webhooks are tested, enabled and disabled. The native API is
// that place, with subscriptions of this contract. [Contract.CheckOptions] says
// what such a subscription may choose.
//
// The page names no header for the signature and no form of it. Here it is
// that of Standard Webhooks 1.0.0, whose rules are cited as SW-2 and its like.
package facturascripts

// Package sign holds the keys and makes the signatures: the [Vault] that keeps
// secrets encrypted at rest; the [ES256Key] that signs JSON Web Tokens, and the
// [Ring] of its current and previous keys; the [HMACSecret] and the [Ed25519Key]
// that sign notifications as Standard Webhooks and HTTP Message Signatures ask;
// and the JWK set that publishes what can be published.
//
// No type of this package prints its secret, whatever the verb or the log
// handler.
package sign

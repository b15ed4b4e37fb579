// Package sign holds the keys and makes the signatures: the [Vault] that keeps
// secrets encrypted at rest, the [ES256Key] that signs JSON Web Tokens, the
// [Ring] of current and previous keys, and the JWK set that publishes them.
//
// No type of this package prints its secret, whatever the verb or the log
// handler.
package sign

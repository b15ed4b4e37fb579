package sign

import (
	"bytes"
	"fmt"
)

// Published is a key of which a JWK set shows the public half: an [*ES256Key]
// or an [*Ed25519PublicKey].
type Published interface {
	// JWK gives the public key as a JSON Web Key (RFC 7517).
	JWK() []byte
}

// JWKS gives the public keys as a JWK set (RFC 7517, section 5), in the order
// given. Keys of several kinds are passed as Published.
func JWKS[K Published](keys ...K) []byte {
	list := make([][]byte, len(keys))
	for i, k := range keys {
		list[i] = k.JWK()
	}
	return fmt.Appendf(nil, `{"keys":[%s]}`, bytes.Join(list, []byte(",")))
}

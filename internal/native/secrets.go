package native

import (
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// DefaultSignature gives the signature of a subscription that chose none, for
// its format: none for the chat formats, whose tools look at no signature; else
// "", for which NewSecret makes a secret of its own choice.
func (c *Contract) DefaultSignature(f fattorino.Format) string {
	if isChat(f) {
		return SignatureNone
	}
	return ""
}

// NewSecret makes a signing secret for the signature that a subscriber chose;
// "" stands for [sign.SchemeV1]. Shown is what the subscriber is to keep secret,
// "whsec_…", and public the public half of a key, "whpk_…"; each is empty where
// the scheme has none. For a signature without a secret of the subscription
// everything is empty.
func (c *Contract) NewSecret(signature string) (s fattorino.Secret, shown, public string, err error) {
	switch signature {
	case SignatureNone, SignatureJWT:
		return s, "", "", nil
	case "":
		signature = sign.SchemeV1
	}
	s, shown, err = c.options.Keychain.NewSecret(signature)
	if isPublic(shown) {
		shown, public = "", shown
	}
	return s, shown, public, err
}

// PublicKey gives the public half of a secret, "whpk_…"; empty where it has
// none.
func (c *Contract) PublicKey(s fattorino.Secret) (string, error) {
	shown, err := c.options.Keychain.Show(s)
	if err != nil || !isPublic(shown) {
		return "", err
	}
	return shown, nil
}

// isPublic tells a public key from a secret.
func isPublic(shown string) bool { return strings.HasPrefix(shown, "whpk_") }

// SealHeaders encrypts the header fields that a subscriber wants to be sent, for
// [fattorino.Options]; none give nil.
func (c *Contract) SealHeaders(fields []fattorino.Header) ([]byte, error) {
	return c.options.Keychain.SealHeaders(fields)
}

// OpenHeaders gives the header fields that SealHeaders sealed, marked as secret.
func (c *Contract) OpenHeaders(sealed []byte) ([]fattorino.Header, error) {
	return c.options.Keychain.OpenHeaders(sealed)
}

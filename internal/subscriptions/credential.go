package subscriptions

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The types of credentials (section 3.2.2). How they reach an HTTP sink the
// API does not say; here it is the header field Authorization.
const (
	plainCredential   = "PLAIN"        // Basic (RFC 7617)
	accessToken       = "ACCESSTOKEN"  // Bearer (RFC 6750)
	refreshCredential = "REFRESHTOKEN" // refused: nothing here fetches tokens
)

// A credential is what the sink wants to know us by. In answers it is without
// secret and accesstoken; on update these, left out, stand for what is kept.
type credential struct {
	CredentialType string `json:"credentialtype"`
	Identifier     string `json:"identifier,omitempty"`
	Secret         string `json:"secret,omitempty"`
	AccessToken    string `json:"accesstoken,omitempty"`
	ExpiresUTC     string `json:"accesstokenexpiresutc,omitempty"`
	TokenType      string `json:"accesstokentype,omitempty"`

	// Of a credential that is refused as a whole.
	RefreshToken         string `json:"refreshtoken,omitempty"`
	RefreshTokenEndpoint string `json:"refreshtokenendpoint,omitempty"`
}

// expiryKey is where the metadata of a subscription keep accesstokenexpiresutc:
// it is for whoever must bring a new token in time, and changes nothing here.
const expiryKey = "accesstokenexpiresutc"

const authorization = "Authorization"

// showFields gives the credential and the headers that fields were made of,
// without anything secret.
func showFields(fields []fattorino.Header, expires string) (*credential, map[string]string) {
	var shown *credential
	headers := map[string]string{}
	for _, f := range fields {
		if shown == nil {
			if shown = credentialIn(f); shown != nil {
				continue
			}
		}
		headers[f.Name] = ""
	}
	if shown != nil && shown.CredentialType == accessToken {
		shown.ExpiresUTC = expires
	}
	return shown, headers
}

// credentialIn gives the credential that a field carries; nil where it is
// another field, or carries one of another kind.
func credentialIn(f fattorino.Header) *credential {
	if !strings.EqualFold(f.Name, authorization) {
		return nil
	}
	switch scheme, value, _ := strings.Cut(f.Value, " "); scheme {
	case "Bearer":
		return &credential{CredentialType: accessToken, TokenType: "bearer"}
	case "Basic":
		pair, err := base64.StdEncoding.DecodeString(value)
		if identifier, _, ok := strings.Cut(string(pair), ":"); err == nil && ok {
			return &credential{CredentialType: plainCredential, Identifier: identifier}
		}
	}
	return nil
}

// fields gives the header fields that the wish comes to, with the kept ones
// where it leaves a value out.
func (w *wish) fields(kept []fattorino.Header) ([]fattorino.Header, error) {
	var f faults
	var fields []fattorino.Header
	if w.credential != nil {
		fields = append(fields, fattorino.Header{Name: authorization, Value: f.credential(w.credential, kept), Secret: true})
	}
	for _, name := range slices.Sorted(maps.Keys(w.headers)) {
		value := w.headers[name]
		if value == "" {
			if value = valueOf(kept, name); value == "" {
				f.add("protocolsettings.headers", "a value is empty, and none is kept: the names in an answer stand for values of the same sink")
			}
		}
		if w.credential != nil && strings.EqualFold(name, authorization) {
			f.add("protocolsettings.headers", "the field Authorization is that of the sinkcredential")
		}
		fields = append(fields, fattorino.Header{Name: name, Value: value, Secret: true})
	}
	return fields, f.err()
}

// credential gives the value of Authorization.
func (f *faults) credential(c *credential, kept []fattorino.Header) string {
	before := valueOf(kept, authorization)
	switch c.CredentialType {
	case accessToken:
		if c.TokenType != "" && !strings.EqualFold(c.TokenType, "bearer") {
			f.add("sinkcredential.accesstokentype", "tokens of another type than bearer cannot be sent")
		}
		switch {
		case c.AccessToken != "" && isToken68(c.AccessToken):
			return "Bearer " + c.AccessToken
		case c.AccessToken != "":
			f.add("sinkcredential.accesstoken", "holds what cannot be in a bearer token (RFC 6750)")
		case strings.HasPrefix(before, "Bearer "):
			return before
		default:
			f.add("sinkcredential.accesstoken", "is required: none is kept for this sink")
		}
	case plainCredential:
		switch {
		case c.Identifier == "" || strings.Contains(c.Identifier, ":") || hasControl(c.Identifier):
			f.add("sinkcredential.identifier", "is required, and cannot hold a colon or control characters (RFC 7617)")
		case hasControl(c.Secret):
			f.add("sinkcredential.secret", "cannot hold control characters (RFC 7617)")
		case c.Secret != "":
			return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Identifier+":"+c.Secret))
		default:
			if was := credentialIn(fattorino.Header{Name: authorization, Value: before}); was != nil &&
				was.CredentialType == plainCredential && was.Identifier == c.Identifier {
				return before
			}
			f.add("sinkcredential.secret", "is required: none is kept for this sink and identifier")
		}
	case refreshCredential:
		f.add("sinkcredential.credentialtype", "REFRESHTOKEN is not taken, for no tokens are fetched here: use ACCESSTOKEN, and update it before it expires")
	default:
		f.add("sinkcredential.credentialtype", "%q is not one of PLAIN, ACCESSTOKEN", c.CredentialType)
	}
	return ""
}

// expiry reads accesstokenexpiresutc.
func (f *faults) expiry(c *credential) time.Time {
	if c == nil || c.CredentialType != accessToken || c.ExpiresUTC == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, c.ExpiresUTC)
	if err != nil {
		f.add("sinkcredential.accesstokenexpiresutc", "is not a time as 2030-12-31T23:59:59Z (RFC 3339)")
	}
	return at
}

// isToken68 tells whether s can be a bearer token (RFC 6750, section 2.1).
func isToken68(s string) bool {
	stem := strings.TrimRight(s, "=")
	return stem != "" && !strings.ContainsFunc(stem, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/", r)
	})
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func valueOf(fields []fattorino.Header, name string) string {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// sameOrigin tells whether two sinks are the same place to a secret: what was
// given for one must not be taken to another by whoever can only write.
func sameOrigin(a, b string) bool {
	one, err := url.Parse(a)
	if err != nil {
		return false
	}
	other, err := url.Parse(b)
	return err == nil && one.Scheme == other.Scheme && strings.EqualFold(one.Host, other.Host)
}

// isPost tells whether a method is the one that notifications have (WH-2).
func isPost(method string) bool { return method == "" || method == http.MethodPost }

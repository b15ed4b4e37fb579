package sign

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Header fields, in lower case as they are in a signature base.
const (
	fieldContentType    = "content-type"
	fieldContentDigest  = "content-digest"
	fieldSignature      = "signature"
	fieldSignatureInput = "signature-input"
)

// signatureLabel names the one signature of a request (RFC 9421, section 4).
const signatureLabel = "sig1"

// maxInteger is the largest integer of a structured field (RFC 9651, section
// 3.3.1).
const maxInteger = 999_999_999_999_999

// AppendHTTPSignature signs a request with HTTP Message Signatures (RFC 9421)
// and appends Content-Digest (RFC 9530, sha-256), Signature-Input and Signature
// to its header fields. The body must go out with them as it is.
//
// The signature covers @method, @target-uri, content-type, content-digest,
// webhook-id and webhook-timestamp, and of a CloudEvent in binary mode, which
// fields with the prefix ce- tell, ce-id, ce-source and ce-type as well. Its
// parameters are created (whole seconds, from 1970 on), keyid (the public key's
// KID), alg and tag, which is "webhook".
//
// The target URI is the URL as the receiver sees it: with the path "/" where it
// has none, the host in ASCII, and without user name and fragment. Fields of
// one name must have one spelling, since the client sorts them.
//
// What cannot be signed is an error, and header is given back as it came: a
// component that is missing, a field of the three that is there already, a
// value that is not ASCII, a URL that is not http or https. Errors quote
// neither values nor the URL.
func (k *Ed25519Key) AppendHTTPSignature(header []fattorino.Header, method, target string, body []byte, created time.Time) ([]fattorino.Header, error) {
	digest := contentDigest(body)
	components, err := webhookComponents(header, method, target, digest)
	if err != nil {
		return header, fmt.Errorf("sign request: %w", err)
	}
	seconds := created.Unix()
	if seconds < 0 || seconds > maxInteger {
		return header, errors.New("sign request: the time of creation is out of range")
	}
	params := appendComponentNames(make([]byte, 0, 320), components)
	params = strconv.AppendInt(append(params, ";created="...), seconds, 10)
	// A KID is base64url, of which nothing must be escaped.
	params = append(append(params, `;keyid="`...), k.public.kid...)
	params = append(params, `";alg="ed25519";tag="webhook"`...)
	base, err := appendSignatureBase(make([]byte, 0, 1024), components, params)
	if err != nil {
		return header, fmt.Errorf("sign request: %w", err)
	}
	signature := ed25519.Sign(k.private(), base)
	return append(
		header,
		fattorino.Header{Name: "Content-Digest", Value: digest},
		fattorino.Header{Name: "Signature-Input", Value: signatureLabel + "=" + string(params)},
		fattorino.Header{Name: "Signature", Value: signatureLabel + "=" + byteSequence(signature)},
	), nil
}

// A component is one part of a message that a signature covers: its name, as
// it is in the signature base, and its value.
type component struct{ name, value string }

// webhookComponents gives what is covered, in order.
func webhookComponents(header []fattorino.Header, method, target, digest string) ([]component, error) {
	for _, name := range [...]string{fieldContentDigest, fieldSignatureInput, fieldSignature} {
		if _, there := fieldValue(header, name); there {
			return nil, fmt.Errorf("there is a field %s already", name)
		}
	}
	if !httpguts.ValidHeaderFieldName(method) { // a method is a token, as a name is
		return nil, errors.New("the method is no token")
	}
	uri, err := TargetURI(target)
	if err != nil {
		return nil, err
	}
	components := make([]component, 0, 9)
	components = append(components, component{"@method", method}, component{"@target-uri", uri})
	fields := []string{fieldContentType, fieldContentDigest, fieldWebhookID, fieldWebhookTimestamp, "ce-id", "ce-source", "ce-type"}
	if !isBinaryMode(header) {
		fields = fields[:4]
	}
	for _, name := range fields {
		value, there := digest, true
		if name != fieldContentDigest {
			value, there = fieldValue(header, name)
		}
		if !there {
			return nil, fmt.Errorf("the component %s is missing", name)
		}
		components = append(components, component{name, value})
	}
	return components, nil
}

// isBinaryMode tells whether CloudEvents attributes are in the header.
func isBinaryMode(header []fattorino.Header) bool {
	return slices.ContainsFunc(header, func(f fattorino.Header) bool {
		return len(f.Name) >= len("ce-") && strings.EqualFold(f.Name[:len("ce-")], "ce-")
	})
}

// fieldValue gives the value of a field, whose name is in lower case: without
// white space around it, and with ", " between the values where there are
// several (RFC 9421, section 2.1).
func fieldValue(header []fattorino.Header, name string) (value string, there bool) {
	for _, f := range header {
		if !strings.EqualFold(f.Name, name) {
			continue
		}
		if trimmed := strings.Trim(f.Value, " \t"); there {
			value += ", " + trimmed
		} else {
			value, there = trimmed, true
		}
	}
	return value, there
}

// TargetURI gives the component @target-uri of a request to the URL (RFC 9421,
// section 2.2.2): what a receiver puts together of scheme, Host field and
// request target (RFC 9110, section 7.1), as net/http sends them. Its errors do
// not quote the URL.
func TargetURI(target string) (string, error) {
	u, err := url.Parse(target)
	if err != nil { // its text repeats the URL, so it is not passed on
		return "", errors.New("the URL is malformed")
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return "", errors.New("the URL is not an absolute http or https URL")
	}
	host, err := httpguts.PunycodeHostPort(strings.TrimSuffix(u.Host, ":")) // the colon of an empty port is not sent
	if err != nil || !httpguts.ValidHostHeader(host) || strings.Contains(host, "%") {
		return "", errors.New("the host of the URL cannot be sent")
	}
	uri := u.Scheme + "://" + host + u.RequestURI()
	if strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", errors.New("the URL holds spaces, control characters or something other than ASCII")
	}
	return uri, nil
}

// contentDigest gives the value of Content-Digest (RFC 9530, section 2).
func contentDigest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=" + byteSequence(sum[:])
}

// byteSequence serialises bytes for a structured field (RFC 9651, section
// 4.1.8).
func byteSequence(b []byte) string { return ":" + base64.StdEncoding.EncodeToString(b) + ":" }

// appendComponentNames appends the names as the inner list that begins the
// signature parameters (RFC 9421, section 2.3; RFC 9651, section 4.1.1.1).
func appendComponentNames(dst []byte, components []component) []byte {
	for i, c := range components {
		separator := byte(' ')
		if i == 0 {
			separator = '('
		}
		dst = append(append(append(dst, separator, '"'), c.name...), '"')
	}
	return append(dst, ')')
}

// appendSignatureBase appends what is signed: a line for each component and
// the parameters as the last (RFC 9421, section 2.5). A value that could make
// a line of its own, or is not ASCII, is an error.
func appendSignatureBase(dst []byte, components []component, params []byte) ([]byte, error) {
	for _, c := range components {
		for i := range len(c.value) {
			if b := c.value[i]; b < ' ' && b != '\t' || b >= 0x7f {
				return nil, fmt.Errorf("the component %s holds control characters or something other than ASCII", c.name)
			}
		}
		dst = append(append(append(dst, '"'), c.name...), `": `...)
		dst = append(append(dst, c.value...), '\n')
	}
	return append(append(dst, `"@signature-params": `...), params...), nil
}

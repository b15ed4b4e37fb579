package inspect

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/remitly-oss/httpsig-go"

	"github.com/fattorino-dev/fattorino/internal/sign"
)

// clockSkew is how far the time of a signature may be from when it came, as
// Standard Webhooks has it.
const clockSkew = 5 * time.Minute

// maxLabels bounds the signatures of a request that are looked at: sig1, sig2
// and so on.
const maxLabels = 4

// checkHTTPSignature checks HTTP Message Signatures (RFC 9421) as a receiver
// does. One that is good is enough: while keys change places there are two.
func checkHTTPSignature(r *Request, keys []*sign.Ed25519PublicKey) Check {
	if len(keys) == 0 {
		return Check{SchemeHTTPSig, Unchecked, WhyNoKey}
	}
	why := WhyMissing
	for n := range maxLabels {
		found := judgeHTTPSignature(r, "sig"+strconv.Itoa(n+1), keys)
		if found == WhyGood {
			return Check{SchemeHTTPSig, Valid, WhyGood}
		}
		if n == 0 || found != WhyMissing {
			why = found
		}
	}
	return Check{SchemeHTTPSig, Invalid, why}
}

// judgeHTTPSignature checks the signature with the label. All that the native
// contract promises to cover must be covered.
func judgeHTTPSignature(r *Request, label string, keys []*sign.Ed25519PublicKey) (why string) {
	received, err := r.rebuild()
	if err != nil {
		return WhyMalformed
	}
	covered := coveredComponents(received.Header.Get("Ce-Specversion") != "")
	result, err := httpsig.Verify(received, keyFetcher{keys}, httpsig.VerifyProfile{
		SignatureLabel: label, AllowedAlgorithms: []httpsig.Algorithm{httpsig.Algo_ED25519}, RequiredFields: httpsig.Fields(covered...),
		RequiredMetadata:       []httpsig.Metadata{httpsig.MetaCreated, httpsig.MetaKeyID},
		DisableTimeEnforcement: true, // what came is judged by when it came
	})
	if fault, ok := errors.AsType[*httpsig.SignatureError](err); ok {
		switch fault.Code { //nolint:exhaustive // the others are of signatures that cannot be read
		case httpsig.ErrNoSigWrongDigest:
			return WhyDigest
		case httpsig.ErrNoSigMissingSignature:
			return WhyMissing
		case httpsig.ErrSigKeyFetch, httpsig.ErrSigVerification:
			return WhyNoMatch
		}
	}
	if err != nil {
		return WhyMalformed
	}
	created, err := result.Created()
	switch at := time.Unix(int64(created), 0); {
	case err != nil:
		return WhyMalformed
	case r.At.Sub(at) > clockSkew:
		return WhyOld
	case at.Sub(r.At) > clockSkew:
		return WhyNew
	}
	return WhyGood
}

// coveredComponents gives what the native contract promises that a signature
// covers.
func coveredComponents(binary bool) []string {
	covered := []string{"@method", "@target-uri", "content-type", "content-digest", "webhook-id", "webhook-timestamp"}
	if binary {
		covered = append(covered, "ce-id", "ce-source", "ce-type")
	}
	return covered
}

// rebuild gives the request as net/http had it.
func (r *Request) rebuild() (*http.Request, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, err
	}
	// The library puts the target URI together from RawPath, which is mostly
	// empty, and from RawQuery without its question mark; here it finds what the
	// request line said.
	received := &http.Request{Method: r.Method, URL: &url.URL{Path: u.Path, RawPath: u.RequestURI()}, Host: u.Host, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(r.Body))}
	if u.Scheme == "https" {
		received.TLS = &tls.ConnectionState{}
	}
	for _, h := range r.Header {
		received.Header.Add(h.Name, h.Value)
	}
	return received, nil
}

// keyFetcher is the library's way to the keys, by name.
type keyFetcher struct{ keys []*sign.Ed25519PublicKey }

var errUnknownKey = errors.New("there is no such key")

// FetchByKeyID implements [httpsig.KeyFetcher].
func (f keyFetcher) FetchByKeyID(_ context.Context, _ http.Header, kid string) (httpsig.KeySpecer, error) {
	for _, key := range f.keys {
		if key.KID() != kid {
			continue
		}
		var published jose.JSONWebKey
		if err := json.Unmarshal(key.JWK(), &published); err != nil {
			return nil, err
		}
		return httpsig.KeySpec{KeyID: kid, Algo: httpsig.Algo_ED25519, PubKey: published.Key}, nil
	}
	return nil, errUnknownKey
}

// Fetch implements [httpsig.KeyFetcher].
func (f keyFetcher) Fetch(context.Context, http.Header, httpsig.MetadataProvider) (httpsig.KeySpecer, error) {
	return nil, errUnknownKey
}

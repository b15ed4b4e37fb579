package native_test

import (
	"testing"

	"github.com/fattorino-dev/fattorino/internal/native"
)

func TestNew_RefusesWhatNoURLOrHeaderCanHold(t *testing.T) {
	t.Parallel()
	keys, signer := newKeychain(t), newTokens(t)
	for name, o := range map[string]native.Options{
		"no keychain":                {},
		"base URL without scheme":    {Keychain: keys, BaseURL: "hooks.example"},
		"base URL of another scheme": {Keychain: keys, BaseURL: "ftp://hooks.example"},
		"base URL without host":      {Keychain: keys, BaseURL: "https:///x"},
		"base URL with a query":      {Keychain: keys, BaseURL: "https://hooks.example?a=b"},
		"base URL with a fragment":   {Keychain: keys, BaseURL: "https://hooks.example#a"},
		"base URL with a password":   {Keychain: keys, BaseURL: "https://a:b@hooks.example"},
		"base URL outside ASCII":     {Keychain: keys, BaseURL: "https://hooks.example/è"},
		"base URL with a line break": {Keychain: keys, BaseURL: "https://hooks.example/\r\n"},
		"origin with a line break":   {Keychain: keys, Origin: "hooks.example\r\nX: 1"},
		"origin that is a URL":       {Keychain: keys, Origin: "https://hooks.example"},
		"origin that stands for all": {Keychain: keys, Origin: "*"},
		"issuer without scheme":      {Keychain: keys, Issuer: "hooks.example"},
		"signer without issuer":      {Keychain: keys, Signer: signer},
		"user agent with line feed":  {Keychain: keys, UserAgent: "a\nb"},
	} {
		if _, err := native.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestNew_OriginAndIssuerComeFromTheBaseURL(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *native.Options) { o.BaseURL, o.UserAgent = "https://hooks.example:8443/x/", "Acme Hooks/2" })
	s := asking(native.HandshakeOptions)
	r := f.challenge(t, s)
	equal(t, value(r.Header, "WebHook-Request-Origin"), "hooks.example")
	equal(t, value(r.Header, "User-Agent"), "Acme Hooks/2")
	equal(t, value(f.notification(t, s, invoicePaid(), now).Header, "User-Agent"), "Acme Hooks/2")
}

func TestContract_NeitherExpiresNorWelcomes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if f.Name() != "native" || f.Expiry() != 0 || f.Welcome(subscription(), now) != nil {
		t.Error("it does")
	}
}

package facturascripts_test

import (
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// The secrets of the tests, known so that signatures can be compared.
const (
	hmacSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	ed25519Secret = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// attempted is when the attempts of the tests are made.
var attempted = time.Date(2025, 12, 5, 12, 0, 42, 0, time.UTC)

func newKeychain(tb testing.TB) *sign.Keychain {
	tb.Helper()
	vault, err := sign.OpenVault(tb.TempDir(), "")
	if err != nil {
		tb.Fatal(err)
	}
	return sign.NewKeychain(vault)
}

// contract gives a contract and the keychain behind it.
func contract(tb testing.TB) (*facturascripts.Contract, *sign.Keychain) {
	tb.Helper()
	keys := newKeychain(tb)
	c, err := facturascripts.New(facturascripts.Options{Keychain: keys})
	if err != nil {
		tb.Fatal(err)
	}
	return c, keys
}

// sealed gives the secrets as a subscription keeps them.
func sealed(tb testing.TB, keys *sign.Keychain, texts ...string) []fattorino.Secret {
	tb.Helper()
	var secrets []fattorino.Secret
	for i, text := range texts {
		s, err := keys.SealSecret(text)
		if err != nil {
			tb.Fatal(err)
		}
		if i > 0 {
			s.EndsAt = attempted.Add(time.Hour)
		}
		secrets = append(secrets, s)
	}
	return secrets
}

// subscription is one with the secrets.
func subscription(tb testing.TB, keys *sign.Keychain, secrets ...string) *fattorino.Subscription {
	tb.Helper()
	return &fattorino.Subscription{
		ID: 42, Company: 7, App: 3, Contract: facturascripts.Name, Sink: "https://example.com/hook?shop=%C3%A1&a=1",
		Types: []string{"invoice.paid"}, Secrets: sealed(tb, keys, secrets...), State: fattorino.Active,
	}
}

// paid is the event that most tests tell of.
func paid() *fattorino.Event {
	return &fattorino.Event{
		ID: "a.1", Source: "/erp", Type: "invoice.paid", Common: "invoice.paid", Company: 7, Seq: 9,
		Time:            time.Date(2025, 12, 5, 13, 0, 0, 900_000_000, time.FixedZone("", 3600)),
		Accepted:        time.Date(2025, 12, 5, 12, 0, 1, 0, time.UTC),
		DataContentType: "application/json", Form: fattorino.JSONData,
		Data: []byte(`{"idfactura": 17, "codigo":"FAC2025A1","total":12.50, "neto":1e2,"nombrecliente":"Café \u00d1 & <Hijos>","pagada":true}`),
	}
}

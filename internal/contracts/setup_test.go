package contracts_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/defacto"
	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

const (
	baseURL = "https://hooks.erp.example"
	sink    = "https://receiver.example/in?tenant=a"
	company = 12345
)

// Two attempts of one delivery.
var (
	first = time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)
	later = first.Add(5 * time.Minute)
)

// contracts are all contracts, with real keys, and what their catalogs know
// together.
type contracts struct {
	native         *native.Contract
	fic            *fic.Contract
	facturascripts *facturascripts.Contract
	defacto        *defacto.Contract
	catalogs       *fattorino.Catalogs
	secrets        []fattorino.Secret
}

// ficSigner joins the contract of Fatture in Cloud to a key, as the program
// does.
type ficSigner struct{ key *sign.ES256Key }

func (s ficSigner) AppendJWT(dst []byte, c fic.Claims) ([]byte, error) {
	return s.key.AppendJWT(dst, sign.Claims{
		ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audience: []string{c.Audience},
		IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt, AppID: c.AppID,
	})
}

func newContracts(t *testing.T) *contracts {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	vault, err := sign.OpenVault("", "k1:"+base64.StdEncoding.EncodeToString(make([]byte, 32)))
	must(err)
	keychain := sign.NewKeychain(vault)
	secret, err := keychain.SealSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") // of the published vectors of Standard Webhooks
	must(err)
	key, err := sign.NewES256Key()
	must(err)
	c := &contracts{secrets: []fattorino.Secret{secret}}
	c.fic, err = fic.New(fic.Options{Signer: ficSigner{key}})
	must(err)
	c.facturascripts, err = facturascripts.New(facturascripts.Options{Keychain: keychain})
	must(err)
	c.defacto, err = defacto.New(defacto.Options{})
	must(err)
	var common []string
	for _, of := range []fattorino.Contract{c.fic, c.facturascripts, c.defacto} {
		for _, t := range of.Catalog().Types {
			common = append(common, t.Common...)
		}
	}
	c.native, err = native.New(native.Options{Keychain: keychain, BaseURL: baseURL, Common: common})
	must(err)
	c.catalogs = fattorino.NewCatalogs(c.native.Catalog(), c.fic.Catalog(), c.facturascripts.Catalog(), c.defacto.Catalog())
	return c
}

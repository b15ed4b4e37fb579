package sign_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/sign"
)

// RFC 8037, appendices A.2 and A.3, with the key of RFC 8032, section 7.1,
// test 1.
func TestJWKOfRFC8037(t *testing.T) {
	t.Parallel()
	seed, err := base64.RawURLEncoding.DecodeString("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	if err != nil {
		t.Fatal(err)
	}
	public := parseKey(t, "whsk_"+base64.StdEncoding.EncodeToString(seed)).Public()

	var got map[string]string
	if err := json.Unmarshal(public.JWK(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "use": "sig", "alg": "EdDSA",
		"kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if public.KID() != want["kid"] {
		t.Errorf("kid %s", public.KID())
	}
}

func TestJWKSetOfSeveralKindsIsReadByGoJose(t *testing.T) {
	t.Parallel()
	es256, key := newKey(t), sign.NewEd25519Key()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(sign.JWKS[sign.Published](es256, key.Public()), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 2 {
		t.Fatalf("%d keys, want 2", len(set.Keys))
	}
	if _, ok := set.Key(es256.KID())[0].Key.(*ecdsa.PublicKey); !ok {
		t.Error("the ES256 key is none any more")
	}
	jwk := set.Keys[1]
	if jwk.KeyID != key.Public().KID() || jwk.Use != "sig" || jwk.Algorithm != "EdDSA" || !jwk.IsPublic() || !jwk.Valid() {
		t.Errorf("kid %s use %s alg %s public %v valid %v", jwk.KeyID, jwk.Use, jwk.Algorithm, jwk.IsPublic(), jwk.Valid())
	}
	if "whpk_"+base64.StdEncoding.EncodeToString(jwk.Key.(ed25519.PublicKey)) != key.Public().String() {
		t.Error("it is another key")
	}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if want := base64.RawURLEncoding.EncodeToString(thumbprint); key.Public().KID() != want {
		t.Errorf("kid %s, go-jose says %s", key.Public().KID(), want)
	}
}

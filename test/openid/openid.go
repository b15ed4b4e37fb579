// Package openid is a small OpenID provider, for tests: the authorization code
// flow of OpenID Connect Core 1.0 with PKCE (RFC 7636), discovery and keys, on
// real HTTP and with real signatures. It checks what a provider must check, and
// lets a test have it lie.
package openid

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A Provider is an OpenID provider with one client and one person, who is
// signed in already: whoever comes by is sent back at once.
type Provider struct {
	URL          string // the issuer
	ClientID     string
	ClientSecret string

	server *httptest.Server

	mu        sync.Mutex
	redirect  string
	claims    map[string]any       // of the person
	lie       func(map[string]any) // changes the claims of the next ID tokens; nil = nothing
	published []key
	signing   key
	codes     map[string]request // not redeemed yet
	asked     map[string]int     // requests by path
	down      bool
}

// A key signs ID tokens.
type key struct {
	id      string
	private *ecdsa.PrivateKey
}

// A request is what came with a browser, as it is kept under its code.
type request struct{ redirect, nonce, challenge string }

// Start starts a provider on this machine, to be closed.
func Start() *Provider {
	p := &Provider{
		ClientID: "fattorino", ClientSecret: rand.Text(), signing: newKey(),
		claims: map[string]any{"sub": "person-1"}, codes: map[string]request{}, asked: map[string]int{},
	}
	p.published = []key{p.signing}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	p.server = httptest.NewServer(p.count(mux))
	p.URL = p.server.URL
	return p
}

// Close stops the provider.
func (p *Provider) Close() { p.server.Close() }

// Register tells where the client has browsers sent back to.
func (p *Provider) Register(redirect string) { p.change(func() { p.redirect = redirect }) }

// Knows sets the claims of the person.
func (p *Provider) Knows(claims map[string]any) { p.change(func() { p.claims = claims }) }

// Lies has the claims of ID tokens changed before they are signed.
func (p *Provider) Lies(how func(claims map[string]any)) { p.change(func() { p.lie = how }) }

// Rotate puts a new key in the place of all others.
func (p *Provider) Rotate() {
	p.change(func() {
		p.signing = newKey()
		p.published = []key{p.signing}
	})
}

// Forge has tokens signed with a key that is not published, under the id of the
// one that is.
func (p *Provider) Forge() {
	p.change(func() { p.signing = key{p.published[0].id, newKey().private} })
}

// Fail has every request answered with 500, or no longer.
func (p *Provider) Fail(down bool) { p.change(func() { p.down = down }) }

// Asked tells how often the path was asked for.
func (p *Provider) Asked(path string) (times int) {
	p.change(func() { times = p.asked[path] })
	return times
}

func (p *Provider) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func newKey() key {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // never (crypto/rand)
	}
	return key{rand.Text(), private}
}

func (p *Provider) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var down bool
		p.change(func() {
			p.asked[r.URL.Path]++
			down = p.down
		})
		if down {
			http.Error(w, "not now", http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"}, "scopes_supported": []string{"openid", "profile", "email", "groups"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic"}, "code_challenge_methods_supported": []string{"S256"},
		"authorization_response_iss_parameter_supported": true, "end_session_endpoint": p.URL + "/end",
	})
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	var set jose.JSONWebKeySet
	p.change(func() {
		for _, k := range p.published {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: string(jose.ES256), Use: "sig"})
		}
	})
	write(w, http.StatusOK, set)
}

// authorize sends the browser back with a code. What is wrong with the request
// is not sent anywhere (RFC 6749, section 4.1.2.1).
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var registered string
	p.change(func() { registered = p.redirect })
	for name, want := range map[string]string{
		"client_id": p.ClientID, "redirect_uri": registered, "response_type": "code", "code_challenge_method": "S256",
	} {
		if q.Get(name) != want {
			http.Error(w, fmt.Sprintf("%s is %q, want %q", name, q.Get(name), want), http.StatusBadRequest)
			return
		}
	}
	scopes := strings.Fields(q.Get("scope"))
	if !slices.Contains(scopes, "openid") || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) < 22 || len(q.Get("nonce")) < 22 {
		http.Error(w, "scope, state, nonce or code_challenge will not do", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.change(func() { p.codes[code] = request{registered, q.Get("nonce"), q.Get("code_challenge")} })
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}
	http.Redirect(w, r, registered+"?"+back.Encode(), http.StatusFound)
}

// token redeems a code, once.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if id != p.ClientID || secret != p.ClientSecret {
		write(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	var asked request
	var known bool
	p.change(func() {
		asked, known = p.codes[r.FormValue("code")]
		delete(p.codes, r.FormValue("code"))
	})
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !known || r.FormValue("grant_type") != "authorization_code" || r.FormValue("redirect_uri") != asked.redirect ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != asked.challenge {
		write(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	token, err := p.idToken(asked.nonce)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	write(w, http.StatusOK, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 300, "id_token": token})
}

func (p *Provider) idToken(nonce string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	claims := map[string]any{
		"iss": p.URL, "aud": p.ClientID, "nonce": nonce, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(),
	}
	maps.Copy(claims, p.claims)
	if p.lie != nil {
		p.lie(claims)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", p.signing.id)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: p.signing.private}, options)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a caller that has gone away
}

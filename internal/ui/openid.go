package ui

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// signInPath is the page to sign in.
const signInPath = base + "sign-in"

// callbackPath is where an issuer sends browsers back to.
const callbackPath = base + "sign-in/oidc/callback"

// Bounds of what is said with an issuer.
const (
	issuerTimeout = 10 * time.Second // for one request, the answer included
	issuerBytes   = 1 << 20          // of one answer
	issuerRest    = 5 * time.Second  // before an issuer that could not be read is asked again
	maxSubject    = 255              // bytes (OpenID Connect Core 1.0, section 2)
)

// OpenIDOptions say with which issuer people can sign in, and as what.
type OpenIDOptions struct {
	Issuer       string // as [CheckIssuer] takes it
	ClientID     string
	ClientSecret string   // empty = a public client, which has PKCE alone
	Roles        []string // as [CheckOpenIDRoles] takes them
	BaseURL      string   // URL under which browsers reach this service
}

// OpenID is sign-in by OpenID Connect (Core 1.0): the authorization code flow
// with PKCE. The issuer is looked for when somebody first signs in, so that the
// service starts, and passwords and tokens go on working, while it is down.
type OpenID struct {
	options OpenIDOptions
	grants  []grant
	client  *http.Client

	turn     chan struct{} // held by who reads or writes what follows
	issuer   *issuer       // nil until it was found
	failed   error         // why it could not be read
	failedAt time.Time
}

// An issuer is what its discovery document says.
type issuer struct {
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
	end      *url.URL // where people sign out there; nil = it does not say
}

// A person is who has signed in by OpenID Connect, as a session keeps it.
type person struct {
	Issuer  string   `json:"issuer"`
	Client  string   `json:"client"`
	Subject string   `json:"subject"`
	Name    string   `json:"name"`   // to be shown; says nothing of who it is
	Grants  []string `json:"grants"` // those of oidc_roles that fitted
}

// NewOpenID makes sign-in by OpenID Connect, and asks nobody yet.
func NewOpenID(o OpenIDOptions) (*OpenID, error) {
	grants, err := parseGrants(o.Roles)
	if err = errors.Join(err, CheckIssuer(o.Issuer)); err != nil {
		return nil, err
	}
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	return &OpenID{options: o, grants: grants, client: newIssuerClient(), turn: make(chan struct{}, 1)}, nil
}

// CheckIssuer fails where the URL can be no issuer's: it is https, or plain
// http on this machine, and has no query and no fragment (OpenID Connect
// Discovery 1.0, section 3).
func CheckIssuer(text string) error {
	u, err := url.Parse(text)
	if err != nil || !safeEndpoint(u) || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return errors.New("it is not an https URL without user, query and fragment, as https://login.example.com")
	}
	return nil
}

// safeEndpoint tells whether secrets may go to the URL.
func safeEndpoint(u *url.URL) bool {
	if u.Scheme == "https" {
		return u.Hostname() != ""
	}
	address, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || (err == nil && address.IsLoopback()))
}

// newIssuerClient makes the client that calls an issuer. It is not the guarded
// one that calls sinks: those are strangers' wishes, while the operator alone
// chooses the issuer, and often has it in the own network. It is held to a
// time, to a size, and to the URLs that the issuer itself names.
func newIssuerClient() *http.Client {
	return &http.Client{
		Timeout:       issuerTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: boundedAnswers{&http.Transport{
			DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10, // people sign in seldom
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		}},
	}
}

// boundedAnswers cuts off answers that are too long, with an error.
type boundedAnswers struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (b boundedAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err == nil {
		answer.Body = http.MaxBytesReader(nil, answer.Body, issuerBytes)
	}
	return answer, err
}

// begin gives the URL at the issuer to send a browser to. Attempt is a secret
// that this browser alone holds: state, nonce and PKCE verifier come of it, so
// that an answer serves in no other browser and for no other attempt.
func (o *OpenID) begin(ctx context.Context, attempt string) (string, error) {
	found, err := o.find(ctx)
	if err != nil {
		return "", err
	}
	return found.oauth.AuthCodeURL(derive(attempt, "state"),
		oidc.Nonce(derive(attempt, "nonce")), oauth2.S256ChallengeOption(derive(attempt, "verifier"))), nil
}

// endSession gives the URL at the issuer where someone signs out there, and is
// sent back from to the page to sign in (OpenID Connect RP-Initiated Logout 1.0,
// section 2); empty where the issuer has none, or cannot be read. The client is
// named in place of an ID token, which is not kept: the issuer asks whether it is
// meant.
func (o *OpenID) endSession(ctx context.Context) string {
	if o == nil {
		return ""
	}
	found, err := o.find(ctx)
	if err != nil || found.end == nil {
		return ""
	}
	address := *found.end
	query := address.Query()
	query.Set("client_id", o.options.ClientID)
	query.Set("post_logout_redirect_uri", o.options.BaseURL+signInPath)
	address.RawQuery = query.Encode()
	return address.String()
}

// derive gives the value of an attempt for a purpose: 256 bits in 43
// characters, as RFC 7636, section 4.1, recommends for the verifier.
func derive(attempt, purpose string) string {
	mac := hmac.New(sha256.New, []byte(attempt))
	_, _ = mac.Write([]byte(purpose)) // never fails (hash.Hash)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// fitsAttempt tells, in constant time, whether the state that came back is the
// attempt's.
func fitsAttempt(attempt, state string) bool {
	return subtle.ConstantTimeCompare([]byte(derive(attempt, "state")), []byte(state)) == 1
}

// finish turns what the issuer sent back by the browser, its state having been
// checked, into a person. It fails with Unavailable where the issuer cannot be
// read, and with Unauthenticated where it does not vouch for anybody.
func (o *OpenID) finish(ctx context.Context, attempt string, answer url.Values) (*person, error) {
	if problem := answer.Get("error"); problem != "" {
		return nil, fattorino.Errorf(fattorino.Unauthenticated, "the issuer answered %q", clip(problem, 100))
	}
	if by := answer.Get("iss"); by != "" && by != o.options.Issuer { // RFC 9207
		return nil, fattorino.Errorf(fattorino.Unauthenticated, "the answer is another issuer's")
	}
	found, err := o.find(ctx)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, o.client)
	tokens, err := found.oauth.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(derive(attempt, "verifier")))
	if err != nil {
		return nil, exchangeError(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	token, err := found.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, &fattorino.Error{Kind: fattorino.Unauthenticated, Msg: "the ID token is not accepted", Err: err}
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(derive(attempt, "nonce"))) != 1 {
		return nil, fattorino.Errorf(fattorino.Unauthenticated, "the ID token is for another attempt")
	}
	return o.person(token)
}

// exchangeError says why there are no tokens. What the issuer wrote is left
// out but for the code of the error: it might repeat what it was sent.
func exchangeError(err error) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return &fattorino.Error{Kind: fattorino.Unavailable, Msg: "the issuer's token endpoint cannot be read", Err: err}
	}
	kind := fattorino.Unauthenticated
	if refused.Response != nil && refused.Response.StatusCode >= http.StatusInternalServerError {
		kind = fattorino.Unavailable
	}
	return fattorino.Errorf(kind, "the issuer gave no tokens (error %q)", clip(refused.ErrorCode, 100))
}

// person reads who the token speaks of, and what it grants.
func (o *OpenID) person(token *oidc.IDToken) (*person, error) {
	var names struct {
		Party    string `json:"azp"`
		Username string `json:"preferred_username"`
		Email    string `json:"email"`
		Name     string `json:"name"`
	}
	var all claims
	if err := errors.Join(token.Claims(&names), token.Claims(&all)); err != nil {
		return nil, &fattorino.Error{Kind: fattorino.Unauthenticated, Msg: "the claims cannot be read", Err: err}
	}
	// OpenID Connect Core 1.0, section 3.1.3.7, points 4 and 5.
	if (names.Party != "" || len(token.Audience) > 1) && names.Party != o.options.ClientID {
		return nil, fattorino.Errorf(fattorino.Unauthenticated, "the ID token was issued to another client")
	}
	if token.Subject == "" || len(token.Subject) > maxSubject {
		return nil, fattorino.Errorf(fattorino.Unauthenticated, "the ID token has no subject that can be used")
	}
	p := &person{Issuer: token.Issuer, Client: o.options.ClientID, Subject: token.Subject}
	for _, name := range []string{names.Username, names.Email, names.Name, token.Subject} {
		if p.Name == "" {
			p.Name = strings.ToValidUTF8(clip(strings.TrimSpace(name), maxUserName), "")
		}
	}
	for _, g := range o.grants {
		if all.have(g.claim, g.value) {
			p.Grants = append(p.Grants, g.String())
		}
	}
	return p, nil
}

// role gives what a person may do by the settings now in force: nothing where
// these are of another issuer or client than the session's.
func (o *OpenID) role(p *person) role {
	granted := nobody
	if o == nil || p.Issuer != o.options.Issuer || p.Client != o.options.ClientID {
		return granted
	}
	for _, g := range o.grants {
		if slices.Contains(p.Grants, g.String()) {
			granted = max(granted, g.role)
		}
	}
	return granted
}

// find gives the issuer, whose discovery document is read at first use. One
// that fails is left alone for a moment: whoever comes by can have it asked.
func (o *OpenID) find(ctx context.Context) (*issuer, error) {
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if o.issuer != nil {
		return o.issuer, nil
	}
	if o.failed != nil && time.Since(o.failedAt) < issuerRest {
		return nil, o.failed
	}
	found, err := o.discover(context.WithoutCancel(ctx)) // others wait for it too
	if err != nil {
		o.failed = &fattorino.Error{Kind: fattorino.Unavailable, Msg: "the OpenID issuer " + o.options.Issuer + " cannot be read", Err: err}
		o.failedAt = time.Now()
		return nil, o.failed
	}
	o.issuer, o.failed = found, nil
	return found, nil
}

func (o *OpenID) discover(ctx context.Context) (*issuer, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, o.client), o.options.Issuer)
	if err != nil {
		return nil, errors.New(clip(err.Error(), 500)) // it quotes the answer, which may be long
	}
	var says struct {
		Keys    string   `json:"jwks_uri"`
		Scopes  []string `json:"scopes_supported"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
		End     string   `json:"end_session_endpoint"`
	}
	if err := provider.Claims(&says); err != nil {
		return nil, err
	}
	endpoint := provider.Endpoint()
	for _, address := range []string{endpoint.AuthURL, endpoint.TokenURL, says.Keys} {
		if u, err := url.Parse(address); err != nil || !safeEndpoint(u) {
			return nil, fmt.Errorf("it names an endpoint that is not https: %q", clip(address, 200))
		}
	}
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // what holds where nothing is said (Discovery 1.0, section 3)
	if o.options.ClientSecret == "" || (len(says.Methods) > 0 && !slices.Contains(says.Methods, "client_secret_basic")) {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	end, err := url.Parse(says.End)
	if err != nil || !safeEndpoint(end) {
		end = nil
	}
	return &issuer{
		end: end,
		oauth: oauth2.Config{
			ClientID: o.options.ClientID, ClientSecret: o.options.ClientSecret, Endpoint: endpoint,
			RedirectURL: o.options.BaseURL + callbackPath, Scopes: o.scopes(says.Scopes),
		},
		verifier: provider.Verifier(&oidc.Config{ClientID: o.options.ClientID}),
	}, nil
}

// scopes are asked for: those of names and addresses, and of each claim that
// grants something where the issuer has a scope of its name, as groups.
func (o *OpenID) scopes(offered []string) []string {
	scopes := []string{oidc.ScopeOpenID, "profile", "email"}
	for _, g := range o.grants {
		if slices.Contains(offered, g.claim) && !slices.Contains(scopes, g.claim) {
			scopes = append(scopes, g.claim)
		}
	}
	return scopes
}

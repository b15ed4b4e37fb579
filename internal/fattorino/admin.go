package fattorino

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Authenticate finds the token of a secret. It fails with Unauthenticated for
// one that is unknown, expired or revoked, without saying which.
func (s *Service) Authenticate(ctx context.Context, secret string) (*Token, error) {
	if secret == "" {
		return nil, noToken()
	}
	return s.AuthenticateHash(ctx, HashSecret(secret))
}

// AuthenticateHash is [Service.Authenticate] for who keeps no secret, but its
// [HashSecret], to ask whether the token is still in force.
func (s *Service) AuthenticateHash(ctx context.Context, hash []byte) (*Token, error) {
	if s.AdminTokenHash != nil && subtle.ConstantTimeCompare(hash, s.AdminTokenHash) == 1 {
		return s.operator, nil
	}
	if len(hash) != sha256.Size {
		return nil, noToken()
	}
	token, err := s.tokenByHash(ctx, [sha256.Size]byte(hash))
	if KindOf(err) == NotFound {
		return nil, noToken()
	}
	if err != nil {
		return nil, err
	}
	if !token.Live(time.Now()) {
		return nil, noToken()
	}
	return token, nil
}

func noToken() error {
	return &Error{Kind: Unauthenticated, Msg: "the access token is missing, unknown, expired or revoked", Fix: "send a valid token as Authorization: Bearer <token>"}
}

// tokenByHash looks a token up, from memory where it was asked for before.
// Looking up by the hash of a secret of 256 random bits leaks no timing that
// helps to guess one.
func (s *Service) tokenByHash(ctx context.Context, hash [32]byte) (*Token, error) {
	t, generation := s.tokens.get(hash)
	if t != nil {
		return t, nil
	}
	t, err := s.Store.TokenByHash(ctx, hash[:])
	if err != nil {
		return nil, err
	}
	s.tokens.put(hash, t, generation)
	return t, nil
}

// tokenCache remembers the tokens in use. What was read before a change and
// comes after it is not remembered, so that a revoked token stays out.
type tokenCache struct {
	mu         sync.RWMutex
	byHash     map[[32]byte]*Token
	generation int
}

func (c *tokenCache) get(hash [32]byte) (*Token, int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byHash[hash], c.generation
}

func (c *tokenCache) put(hash [32]byte, t *Token, generation int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if c.byHash == nil {
		c.byHash = map[[32]byte]*Token{}
	}
	c.byHash[hash] = t
}

func (c *tokenCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byHash = nil
	c.generation++
}

// ForgetTokens has every token looked up anew: another process may have revoked
// one.
func (s *Service) ForgetTokens() { s.tokens.forget() }

// CreateApp registers an integrator's application.
func (s *Service) CreateApp(ctx context.Context, caller *Token, name string) (*App, error) {
	if err := need(caller, 0, AdminToken); err != nil {
		return nil, err
	}
	if name = strings.TrimSpace(name); name == "" || len(name) > 200 {
		return nil, InvalidField("name", "the name must have 1 to 200 bytes")
	}
	app := &App{Name: name, CreatedAt: time.Now()}
	return app, s.do(ctx, caller, "app.create", 0, "", func(tx Tx, d *Deed) error {
		if err := tx.PutApp(app); err != nil {
			return err
		}
		d.Object = objectOf("app", app.ID)
		return nil
	})
}

// Apps lists apps by id.
func (s *Service) Apps(ctx context.Context, caller *Token, after int64, limit int) ([]*App, error) {
	if err := need(caller, 0, AdminToken); err != nil {
		return nil, err
	}
	return s.Store.Apps(ctx, after, limit)
}

// CreateToken makes a token and gives its secret, which is shown this once and
// never again. Of t, the fields Kind, App, Companies, Scopes and ExpiresAt
// count.
func (s *Service) CreateToken(ctx context.Context, caller *Token, t Token) (*Token, string, error) {
	if err := need(caller, 0, AdminToken); err != nil {
		return nil, "", err
	}
	now := time.Now()
	if err := checkToken(t, now); err != nil {
		return nil, "", err
	}
	if err := s.CheckScopes(t.Scopes); err != nil {
		return nil, "", err
	}
	token, secret := mint(t, now)
	err := s.do(ctx, caller, "token.create", 0, "", func(tx Tx, d *Deed) error {
		if err := needApp(tx, token.App); err != nil {
			return err
		}
		for _, company := range token.Companies {
			if err := tx.EnsureCompany(company, now); err != nil {
				return err
			}
		}
		if err := insert(tx, token); err != nil {
			return err
		}
		d.Object = objectOf("token", token.ID)
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return token, secret, nil
}

// needApp fails with Invalid for an app that is not there; 0 = none is meant.
func needApp(tx Tx, id int64) error {
	if id == 0 {
		return nil
	}
	_, err := tx.App(id)
	if KindOf(err) == NotFound {
		return InvalidField("app_id", "there is no app %d", id)
	}
	return err
}

// insert writes a new token. One that was given an ID in a transaction that did
// not come about, and is run again, is as new as before.
func insert(tx Tx, token *Token) error {
	token.ID = 0
	return tx.PutToken(token)
}

func checkToken(t Token, now time.Time) error {
	switch t.Kind {
	case APIToken:
		if t.App == 0 {
			return InvalidField("app_id", "a token of kind api speaks for an app: app_id is required")
		}
	case PublishToken, AdminToken:
	default:
		return InvalidField("kind", "kind %q is none of api, publish, admin", t.Kind)
	}
	for _, company := range t.Companies {
		if company <= 0 {
			return InvalidField("companies", "company %d is not a positive integer", company)
		}
	}
	if !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(now) {
		return InvalidField("expires_at", "the time is not in the future")
	}
	return nil
}

// CheckScopes fails with Invalid where one of the scopes does not exist: a token
// would have it, and be let do nothing by it.
func (s *Service) CheckScopes(scopes []string) error {
	known := s.Catalogs().readings()
	all := append([]string{"*"}, known...)
	for _, reading := range known {
		all = append(all, strings.TrimSuffix(reading, ":r")+":a")
	}
	for _, scope := range scopes {
		if slices.Contains(all, scope) {
			continue
		}
		hint := ""
		if near := Closest(scope, all); near != "" {
			hint = fmt.Sprintf("did you mean %q? ", near)
		}
		return InvalidField("scopes", "there is no scope %q: %sthere are * for everything, and %s; with :a in place of :r to write as well", scope, hint, strings.Join(known, ", "))
	}
	return nil
}

// mint draws a secret for t.
func mint(t Token, now time.Time) (*Token, string) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	secret := "fattorino_" + string(t.Kind) + "_" + base64.RawURLEncoding.EncodeToString(raw)
	return &Token{
		Kind: t.Kind, App: t.App, Companies: t.Companies, Scopes: t.Scopes,
		Hash: HashSecret(secret), Hint: secret[len(secret)-4:], CreatedAt: now, ExpiresAt: t.ExpiresAt,
	}, secret
}

// FirstAdminToken makes the admin token of a store that has no token at all,
// and gives its secret; empty where there is one already.
func (s *Service) FirstAdminToken(ctx context.Context) (string, error) {
	tokens, err := s.Store.Tokens(ctx, 0, 1)
	if err != nil || len(tokens) > 0 || s.AdminTokenHash != nil {
		return "", err
	}
	token, secret := mint(Token{Kind: AdminToken, Scopes: []string{"*"}}, time.Now())
	if err := s.Engine.Update(ctx, func(tx Tx) error { return insert(tx, token) }); err != nil {
		return "", err
	}
	return secret, nil
}

// Tokens lists tokens by id; their secrets are not known any more.
func (s *Service) Tokens(ctx context.Context, caller *Token, after int64, limit int) ([]*Token, error) {
	if err := need(caller, 0, AdminToken); err != nil {
		return nil, err
	}
	return s.Store.Tokens(ctx, after, limit)
}

// RevokeToken puts a token out of force at once.
func (s *Service) RevokeToken(ctx context.Context, caller *Token, id int64) error {
	if err := need(caller, 0, AdminToken); err != nil {
		return err
	}
	err := s.do(ctx, caller, "token.revoke", 0, objectOf("token", id), func(tx Tx, d *Deed) error {
		found, err := tx.Token(id)
		if err != nil {
			return err
		}
		if !found.RevokedAt.IsZero() {
			d.Action = "" // it was out of force already
			return nil
		}
		t := *found
		t.RevokedAt = time.Now()
		return tx.PutToken(&t)
	})
	s.tokens.forget()
	return err
}

// Companies lists companies by id.
func (s *Service) Companies(ctx context.Context, caller *Token, after int64, limit int) ([]*Company, error) {
	if err := need(caller, 0, AdminToken); err != nil {
		return nil, err
	}
	return s.Store.Companies(ctx, after, limit)
}

// Company gives one company.
func (s *Service) Company(ctx context.Context, caller *Token, id int64) (*Company, error) {
	if err := need(caller, id, APIToken, PublishToken, AdminToken); err != nil {
		return nil, err
	}
	return s.Store.Company(ctx, id)
}

// NameCompany makes the company where it is not there, and names it.
func (s *Service) NameCompany(ctx context.Context, caller *Token, id int64, name string) (*Company, error) {
	if err := need(caller, 0, AdminToken); err != nil {
		return nil, err
	}
	if id <= 0 {
		return nil, notACompany(id)
	}
	if len(name) > 200 {
		return nil, InvalidField("name", "the name has more than 200 bytes")
	}
	err := s.do(ctx, caller, "company.name", id, objectOf("company", id), func(tx Tx, _ *Deed) error {
		if err := tx.EnsureCompany(id, time.Now()); err != nil {
			return err
		}
		return tx.NameCompany(id, name)
	})
	if err != nil {
		return nil, err
	}
	return s.Store.Company(ctx, id)
}

// CountCall counts one call of an API: f does it, in a transaction, and may be
// run more than once. Where f fails nothing was counted.
func (s *Service) CountCall(ctx context.Context, f func(CounterTx) error) error {
	return s.Engine.Update(ctx, func(tx Tx) error { return f(tx) })
}

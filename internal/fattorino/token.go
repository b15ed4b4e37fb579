package fattorino

import (
	"slices"
	"strings"
	"time"
)

// An App is an integrator's client application, the identity behind a token.
type App struct {
	ID        int64
	Name      string
	CreatedAt time.Time
}

// A Company owns the resources that events speak of. It comes into being when
// it is first named.
type Company struct {
	ID        int64
	Name      string // may be empty
	LastSeq   int64  // Seq of its newest event; 0 = none yet
	CreatedAt time.Time
}

// TokenKind says what a token is for.
type TokenKind string

// The kinds of token.
const (
	APIToken     TokenKind = "api"     // an integrator: subscriptions, pull, own deliveries
	PublishToken TokenKind = "publish" // a platform: publishes events
	AdminToken   TokenKind = "admin"   // the operator: everything
)

// A Token is a bearer access token as it is kept: its secret is known only as
// a hash.
type Token struct {
	ID        int64
	Kind      TokenKind
	App       int64    // 0 where it speaks for no app
	Companies []int64  // empty = all
	Scopes    []string // as "issued_documents.invoices:r"; "*" = all
	Hash      []byte   // SHA-256 of the secret
	Hint      string   // the last characters of the secret, to tell tokens apart
	CreatedAt time.Time
	ExpiresAt time.Time // zero = never
	RevokedAt time.Time // zero = in force

	// Name is of the user who acts with it, where a door knows; it is not kept.
	Name string
}

// Live tells whether the token is in force at now.
func (t *Token) Live(now time.Time) bool {
	return t.RevokedAt.IsZero() && (t.ExpiresAt.IsZero() || now.Before(t.ExpiresAt))
}

// Reaches tells whether the token may act on the company.
func (t *Token) Reaches(company int64) bool {
	return t.Kind == AdminToken || len(t.Companies) == 0 || slices.Contains(t.Companies, company)
}

// ownApp is the app whose things the token sees; 0 = those of every app.
func (t *Token) ownApp() int64 {
	if t.Kind == AdminToken {
		return 0
	}
	return t.App
}

// Holds tells whether the token has the scope. A scope is "family:r" or
// "family:a"; the right to write (a) contains the right to read (r). Admin
// tokens hold every scope.
func (t *Token) Holds(scope string) bool {
	if t.Kind == AdminToken || slices.Contains(t.Scopes, "*") || slices.Contains(t.Scopes, scope) {
		return true
	}
	family, ok := strings.CutSuffix(scope, ":r")
	return ok && slices.Contains(t.Scopes, family+":a")
}

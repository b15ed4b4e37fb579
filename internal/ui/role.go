package ui

import (
	"fmt"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A role is what someone may do. Each contains those before it.
type role uint8

// The roles. Nobody is who has not signed in.
const (
	nobody   role = iota
	viewer        // sees everything but secrets, tokens, users and settings
	operator      // changes subscriptions and has deliveries sent again
	admin         // everything: companies, apps, tokens, keys, users
)

// roles are those that a user can have.
func roles() []role { return []role{viewer, operator, admin} }

// String gives the role's name, as it is kept and translated.
func (r role) String() string {
	switch r {
	case viewer:
		return "viewer"
	case operator:
		return "operator"
	case admin:
		return "admin"
	case nobody:
	}
	return "nobody"
}

// MarshalText is [role.String].
func (r role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the name of a role that a user can have.
func (r *role) UnmarshalText(text []byte) error {
	for _, known := range roles() {
		if known.String() == string(text) {
			*r = known
			return nil
		}
	}
	return fmt.Errorf("%q is no role", text)
}

// caller gives the token that the use cases are called with. What a role may do
// is decided before, by the table of routes; app is that in whose name it is
// done, 0 where it is nobody's.
func caller(app int64) *fattorino.Token {
	return &fattorino.Token{Kind: fattorino.AdminToken, App: app, Scopes: []string{"*"}}
}

// Package auth finds out who is calling: it takes the bearer token (RFC 6750,
// section 2.1) of a request and hands on what the token stands for.
package auth

import (
	"context"
	"net/http"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Authenticator finds the token of a secret; Unauthenticated where there is
// none.
type Authenticator interface {
	Authenticate(ctx context.Context, secret string) (*fattorino.Token, error)
}

// Caller gives the token that the request is made with.
func Caller(a Authenticator, r *http.Request) (*fattorino.Token, error) {
	return a.Authenticate(r.Context(), bearer(r))
}

// bearer gives the secret of the Authorization header; empty where there is
// none. The scheme's case does not matter (RFC 9110, section 11.1).
func bearer(r *http.Request) string {
	scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

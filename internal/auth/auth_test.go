package auth_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/auth"
	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// silent reaches no sink: nothing is sent here.
type silent struct{}

func (silent) Send(context.Context, *fattorino.Request) *fattorino.Answer {
	return &fattorino.Answer{Failure: fattorino.FailedConnect}
}

// setup gives the use cases on a real store, with one token, and its secret.
func setup(t *testing.T) (s *fattorino.Service, token *fattorino.Token, secret string) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Config{Store: store, Sender: silent{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err = fattorino.NewService(fattorino.Config{Store: store, Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	operator := &fattorino.Token{Kind: fattorino.AdminToken}
	token, secret, err = s.CreateToken(t.Context(), operator, fattorino.Token{Kind: fattorino.PublishToken})
	if err != nil {
		t.Fatal(err)
	}
	return s, token, secret
}

func TestTheCallerIsWhoseBearerTokenItIs(t *testing.T) {
	t.Parallel()
	service, token, secret := setup(t)
	// As it comes over the wire, through a real server.
	var called *fattorino.Token
	var refusal error
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called, refusal = auth.Caller(service, r)
	}))
	defer server.Close()

	for _, tt := range []struct {
		name   string
		header []string // fields of Authorization
		want   bool
	}{
		{"bearer", []string{"Bearer " + secret}, true},
		// RFC 9110, section 11.1: the scheme is told apart whatever its case.
		{"bearer in lower case", []string{"bearer " + secret}, true},
		{"bearer in upper case", []string{"BEARER " + secret}, true},
		{"bearer in mixed case", []string{"bEaReR " + secret}, true},
		// RFC 9110, section 11.4: one or more spaces.
		{"two spaces", []string{"Bearer  " + secret}, true},
		{"spaces around", []string{"  Bearer " + secret + "  "}, true},

		{"no field", nil, false},
		{"an empty field", []string{""}, false},
		{"the scheme alone", []string{"Bearer"}, false},
		{"the scheme and a space", []string{"Bearer "}, false},
		{"the token alone", []string{secret}, false},
		{"no space", []string{"Bearer" + secret}, false},
		{"a colon", []string{"Bearer: " + secret}, false},
		{"another scheme", []string{"Token " + secret}, false},
		{"basic", []string{"Basic " + secret}, false},
		{"basic, with it as the password", []string{basic("", secret)}, false},
		{"basic, with it as the name", []string{basic(secret, "")}, false},
		{"in quotes", []string{`Bearer "` + secret + `"`}, false},
		{"a parameter", []string{"Bearer token=" + secret}, false},
		{"two tokens", []string{"Bearer " + secret + " " + secret}, false},
		{"another case of the token", []string{"Bearer " + swapCase(secret)}, false},
		{"an unknown token", []string{"Bearer fattorino_publish_unknown"}, false},
		{"a wrong field before the right one", []string{"Bearer unknown", "Bearer " + secret}, false},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range tt.header {
			r.Header.Add("Authorization", h)
		}
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		response.Body.Close() //nolint:errcheck // it is empty

		switch {
		case tt.want && (refusal != nil || called == nil || called.ID != token.ID):
			t.Errorf("%s: refused with %v, want the token", tt.name, refusal)
		case !tt.want && (called != nil || fattorino.KindOf(refusal) != fattorino.Unauthenticated):
			t.Errorf("%s: let in, or refused with %v; want Unauthenticated", tt.name, refusal)
		}
	}
}

// A token in the URL would stand in logs (RFC 6750, section 2.3).
func TestATokenElsewhereCountsForNothing(t *testing.T) {
	t.Parallel()
	service, _, secret := setup(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/events?access_token="+secret, nil)
	r.Header.Set("X-Api-Key", secret)
	r.AddCookie(&http.Cookie{Name: "access_token", Value: secret})
	if _, err := auth.Caller(service, r); fattorino.KindOf(err) != fattorino.Unauthenticated {
		t.Errorf("%v, want Unauthenticated", err)
	}
}

func basic(name, password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(name, password)
	return r.Header.Get("Authorization")
}

func swapCase(s string) string {
	swapped := []byte(s)
	for i, c := range swapped {
		if ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') {
			swapped[i] = c ^ 0x20
		}
	}
	return string(swapped)
}

package fattorino_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// create makes a token that must come about, and gives its secret.
func (f *fixture) create(tb testing.TB, t fattorino.Token) (*fattorino.Token, string) {
	tb.Helper()
	token, secret, err := f.CreateToken(context.Background(), f.admin, t)
	if err != nil {
		tb.Fatal(err)
	}
	return token, secret
}

// created makes an app.
func (f *fixture) newApp(tb testing.TB, name string) int64 {
	tb.Helper()
	app, err := f.CreateApp(context.Background(), f.admin, name)
	if err != nil {
		tb.Fatal(err)
	}
	return app.ID
}

// known tells whether the secret is that of a token in force.
func (f *fixture) known(tb testing.TB, secret string) bool {
	tb.Helper()
	_, err := f.Authenticate(context.Background(), secret)
	if err != nil {
		fails(tb, err, fattorino.Unauthenticated)
	}
	if _, byHash := f.AuthenticateHash(context.Background(), fattorino.HashSecret(secret)); (byHash == nil) != (err == nil) {
		tb.Errorf("by its secret a token is known: %v; by the secret's hash: %v", err, byHash)
	}
	return err == nil
}

func TestATokenIsShownOnceAndKeptAsAHash(t *testing.T) {
	t.Parallel()
	f := setup(t)
	app := f.newApp(t, "Studio Rossi")
	expires := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	made, secret := f.create(t, fattorino.Token{
		Kind: fattorino.APIToken, App: app, Companies: []int64{7, 8}, Scopes: []string{"invoices:r"}, ExpiresAt: expires,
		ID: 99, Hash: []byte("mine"), Hint: "mine", RevokedAt: time.Now(), // which do not count
	})

	// It says what it is for, and cannot be guessed: 256 random bits.
	random, ok := strings.CutPrefix(secret, "fattorino_api_")
	if !ok || len(random) != 43 {
		t.Errorf("a secret of %d characters after its prefix, want 43", len(random))
	}
	// What is kept of it is a hash and the last characters.
	list, err := f.Tokens(context.Background(), f.admin, 0, 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d tokens, %v", len(list), err)
	}
	kept := list[0]
	want := &fattorino.Token{
		ID: made.ID, Kind: fattorino.APIToken, App: app, Companies: []int64{7, 8}, Scopes: []string{"invoices:r"},
		Hash: fattorino.HashSecret(secret), Hint: secret[len(secret)-4:], CreatedAt: kept.CreatedAt, ExpiresAt: expires,
	}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if strings.Contains(fmt.Sprintf("%+v %q", *kept, kept.Hash), random) || bytes.Contains(kept.Hash, []byte(random)) {
		t.Error("the secret itself is kept")
	}
	// The companies it names come into being.
	for _, company := range []int64{7, 8} {
		if _, err := f.Company(context.Background(), f.admin, company); err != nil {
			t.Errorf("company %d: %v", company, err)
		}
	}
	// The secret is the way in, and nothing else is.
	if token, err := f.Authenticate(context.Background(), secret); err != nil || token.ID != made.ID || token.App != app {
		t.Errorf("%+v, %v; want token %d", token, err, made.ID)
	}
	for name, wrong := range map[string]string{
		"nothing": "", "part of it": secret[:len(secret)-1], "more than it": secret + "A", "its random part": random,
		"another case": strings.ToUpper(secret), "its hash": string(kept.Hash), "its hint": kept.Hint,
	} {
		if f.known(t, wrong) {
			t.Errorf("%s is the way in as well", name)
		}
	}
	if _, other := f.create(t, fattorino.Token{Kind: fattorino.PublishToken}); other == secret {
		t.Error("two tokens have the same secret")
	}
}

func TestWhatATokenMustBe(t *testing.T) {
	t.Parallel()
	f := setup(t)
	app := f.newApp(t, "Studio Rossi")
	for _, tt := range []struct {
		name  string
		token fattorino.Token
		field string // of the fault; empty = made
	}{
		{"of an integrator, for an app", fattorino.Token{Kind: fattorino.APIToken, App: app}, ""},
		{"of an integrator, for no app", fattorino.Token{Kind: fattorino.APIToken}, "app_id"},
		{"of an integrator, for an app that is not there", fattorino.Token{Kind: fattorino.APIToken, App: 99}, "app_id"},
		{"of a platform, for an app that is not there", fattorino.Token{Kind: fattorino.PublishToken, App: 99}, "app_id"},
		{"of a platform", fattorino.Token{Kind: fattorino.PublishToken, Companies: []int64{7}}, ""},
		{"of the operator", fattorino.Token{Kind: fattorino.AdminToken}, ""},
		{"of no kind", fattorino.Token{App: app}, "kind"},
		{"of another kind", fattorino.Token{Kind: "root"}, "kind"},
		{"for company 0", fattorino.Token{Kind: fattorino.PublishToken, Companies: []int64{7, 0}}, "companies"},
		{"for a negative company", fattorino.Token{Kind: fattorino.PublishToken, Companies: []int64{-7}}, "companies"},
		{"for all scopes", fattorino.Token{Kind: fattorino.PublishToken, Scopes: []string{"*"}}, ""},
		{"to read and to write", fattorino.Token{Kind: fattorino.APIToken, App: app, Scopes: []string{"invoices:r", "stock:a"}}, ""},
		{"for a scope of no contract", fattorino.Token{Kind: fattorino.APIToken, App: app, Scopes: []string{"invoices:r", "orders:r"}}, "scopes"},
		{"for a right that there is not", fattorino.Token{Kind: fattorino.APIToken, App: app, Scopes: []string{"invoices:w"}}, "scopes"},
		{"for an empty scope", fattorino.Token{Kind: fattorino.APIToken, App: app, Scopes: []string{""}}, "scopes"},
		{"that expires in a moment", fattorino.Token{Kind: fattorino.PublishToken, ExpiresAt: time.Now().Add(time.Minute)}, ""},
		{"that has expired", fattorino.Token{Kind: fattorino.PublishToken, ExpiresAt: time.Now().Add(-time.Minute)}, "expires_at"},
	} {
		token, secret, err := f.CreateToken(context.Background(), f.admin, tt.token)
		if tt.field == "" {
			if err != nil || token.ID == 0 || !f.known(t, secret) {
				t.Errorf("%s: %v, want it made", tt.name, err)
			}
			continue
		}
		e := told(t, err, fattorino.Invalid)
		if len(e.Faults) != 1 || e.Faults[0].Field != tt.field || token != nil || secret != "" {
			t.Errorf("%s: faults %v, want one at %s", tt.name, e.Faults, tt.field)
		}
	}
}

func TestATokenGoesOutOfForceWhenItExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		_, secret := f.create(t, fattorino.Token{Kind: fattorino.PublishToken, ExpiresAt: time.Now().Add(time.Hour)})
		time.Sleep(time.Hour - time.Microsecond)
		if !f.known(t, secret) {
			t.Error("out of force before its time")
		}
		time.Sleep(time.Microsecond)
		if f.known(t, secret) { // though it has just been looked up
			t.Error("in force after its time")
		}
	})
}

func TestARevokedTokenIsOutOfForceAtOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	token, secret := f.create(t, fattorino.Token{Kind: fattorino.PublishToken})
	_, other := f.create(t, fattorino.Token{Kind: fattorino.PublishToken})
	// Given a token in use,
	for range 3 {
		if !f.known(t, secret) || !f.known(t, other) {
			t.Fatal("not in force")
		}
	}
	// when it is revoked,
	if err := f.RevokeToken(context.Background(), f.admin, token.ID); err != nil {
		t.Fatal(err)
	}
	// then it is out of force at once, and others stay.
	if f.known(t, secret) || !f.known(t, other) {
		t.Error("want the revoked one out of force, and that one alone")
	}
	list, _ := f.Tokens(context.Background(), f.admin, 0, 1)
	revoked := list[0].RevokedAt
	if revoked.IsZero() {
		t.Error("the list does not tell when it was revoked")
	}
	// Revoking again changes nothing; one that never was cannot be revoked.
	if err := f.RevokeToken(context.Background(), f.admin, token.ID); err != nil {
		t.Errorf("again: %v", err)
	}
	if list, _ = f.Tokens(context.Background(), f.admin, 0, 1); !list[0].RevokedAt.Equal(revoked) {
		t.Errorf("revoked at %v, and %v after revoking again", revoked, list[0].RevokedAt)
	}
	fails(t, f.RevokeToken(context.Background(), f.admin, 999), fattorino.NotFound)
}

// slow is the real store, whose next look-up of a token holds what it has read
// until it is let go.
type slow struct {
	fattorino.Store
	once    sync.Once
	read    chan struct{} // closed when the token has been read
	release chan struct{}
}

func (s *slow) TokenByHash(ctx context.Context, hash []byte) (*fattorino.Token, error) {
	t, err := s.Store.TokenByHash(ctx, hash)
	s.once.Do(func() {
		close(s.read)
		<-s.release
	})
	return t, err
}

func TestALookUpThatBeganBeforeTheRevocationIsNotRemembered(t *testing.T) {
	t.Parallel()
	store := &slow{read: make(chan struct{}), release: make(chan struct{})}
	f := setup(t, func(c *fattorino.Config) { store.Store, c.Store = c.Store, store })
	token, secret := f.create(t, fattorino.Token{Kind: fattorino.PublishToken})

	// Given a request that has read its token,
	done := make(chan error)
	go func() {
		_, err := f.Authenticate(context.Background(), secret)
		done <- err
	}()
	<-store.read
	// when the token is revoked before the request goes on,
	if err := f.RevokeToken(context.Background(), f.admin, token.ID); err != nil {
		t.Fatal(err)
	}
	close(store.release)
	if err := <-done; err != nil {
		t.Fatalf("the request that came first: %v", err)
	}
	// then what it has read serves nobody after it.
	if f.known(t, secret) {
		t.Error("the revoked token is in force")
	}
}

func TestTheTokenThatTheOperatorSet(t *testing.T) {
	t.Parallel()
	const set = "from-the-environment"
	f := setup(t, func(c *fattorino.Config) { c.AdminTokenHash = fattorino.HashSecret(set) })
	token, err := f.Authenticate(context.Background(), set)
	if err != nil || token.Kind != fattorino.AdminToken || !token.Holds("invoices:a") || !token.Reaches(7) {
		t.Errorf("%+v, %v; want one of kind admin", token, err)
	}
	for _, wrong := range []string{"", "from-the-environmen", string(fattorino.HashSecret(set))} {
		if f.known(t, wrong) {
			t.Errorf("%q is the way in as well", wrong)
		}
	}
	// With it, none is made by itself.
	if secret, err := f.FirstAdminToken(context.Background()); secret != "" || err != nil {
		t.Errorf("a first token was made all the same: %v", err)
	}
}

func TestTheFirstAdminTokenIsMadeOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	secret, err := f.FirstAdminToken(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if token, err := f.Authenticate(context.Background(), secret); err != nil || token.Kind != fattorino.AdminToken {
		t.Errorf("%+v, %v; want one of kind admin", token, err)
	}
	for range 2 {
		if again, err := f.FirstAdminToken(context.Background()); again != "" || err != nil {
			t.Errorf("another was made: %v", err)
		}
	}
	// Not even when it has been revoked: whoever can start the program would
	// get in again.
	list, _ := f.Tokens(context.Background(), f.admin, 0, 10)
	if err := f.RevokeToken(context.Background(), f.admin, list[0].ID); err != nil {
		t.Fatal(err)
	}
	if again, err := f.FirstAdminToken(context.Background()); again != "" || err != nil {
		t.Errorf("another was made after the first was revoked: %v", err)
	}
}

func TestAnAppHasAName(t *testing.T) {
	t.Parallel()
	f := setup(t)
	app, err := f.CreateApp(context.Background(), f.admin, "  Studio Rossi\n")
	if err != nil || app.Name != "Studio Rossi" || app.ID == 0 {
		t.Errorf("%+v, %v; want it made, its name trimmed", app, err)
	}
	f.newApp(t, strings.Repeat("a", 200))
	for _, name := range []string{"", " \t", strings.Repeat("a", 201)} {
		_, err := f.CreateApp(context.Background(), f.admin, name)
		if e := told(t, err, fattorino.Invalid); e.Faults[0].Field != "name" {
			t.Errorf("%q: faults %v, want one at name", name, e.Faults)
		}
	}
	list, err := f.Apps(context.Background(), f.admin, lastApp, 10)
	if err != nil || len(list) != 2 || list[0].Name != "Studio Rossi" {
		t.Errorf("%d apps, %v; want the two", len(list), err)
	}
	if rest, err := f.Apps(context.Background(), f.admin, list[0].ID, 10); err != nil || len(rest) != 1 || rest[0].ID != list[1].ID {
		t.Errorf("after the first: %d apps, %v; want the second", len(rest), err)
	}
}

func TestACompanyComesIntoBeingWhenItIsFirstNamed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := context.Background()
	_, err := f.Company(ctx, f.admin, 7)
	fails(t, err, fattorino.NotFound)

	f.publish(t, happened("e1", paid), happened("e2", paid))
	if c, err := f.Company(ctx, f.admin, 7); err != nil || c.LastSeq != 2 || c.Name != "" {
		t.Errorf("%+v, %v; want one without a name and with two events", c, err)
	}
	if c, err := f.NameCompany(ctx, f.admin, 7, "Rossi Srl"); err != nil || c.Name != "Rossi Srl" || c.LastSeq != 2 {
		t.Errorf("%+v, %v; want it named, its events untouched", c, err)
	}
	if c, err := f.NameCompany(ctx, f.admin, 8, "Bianchi SpA"); err != nil || c.ID != 8 || c.Name != "Bianchi SpA" {
		t.Errorf("%+v, %v; want it made", c, err)
	}
	for name, c := range map[string]struct {
		id    int64
		name  string
		field string
	}{
		"company 0":          {0, "Zero", "company"},
		"a negative company": {-1, "Minus", "company"},
		"too long a name":    {9, strings.Repeat("a", 201), "name"},
	} {
		_, err := f.NameCompany(ctx, f.admin, c.id, c.name)
		if e := told(t, err, fattorino.Invalid); e.Faults[0].Field != c.field {
			t.Errorf("%s: faults %v, want one at %s", name, e.Faults, c.field)
		}
	}
	list, err := f.Companies(ctx, f.admin, 0, 10)
	if err != nil || len(list) != 2 || list[0].ID != 7 || list[1].ID != 8 {
		t.Errorf("%d companies, %v; want 7 and 8", len(list), err)
	}
	// Who has to do with a company may read it.
	for _, kind := range []fattorino.TokenKind{fattorino.APIToken, fattorino.PublishToken} {
		if _, err := f.Company(ctx, &fattorino.Token{Kind: kind, Companies: []int64{7}}, 7); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		_, err := f.Company(ctx, &fattorino.Token{Kind: kind, Companies: []int64{7}}, 8)
		fails(t, err, fattorino.Denied)
	}
}

func TestOnlyTheOperatorManages(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := context.Background()
	token, secret := f.create(t, fattorino.Token{Kind: fattorino.PublishToken})
	for operation, do := range map[string]func(*fattorino.Token) error{
		"create an app": func(c *fattorino.Token) error { _, err := f.CreateApp(ctx, c, "x"); return err },
		"list apps":     func(c *fattorino.Token) error { _, err := f.Apps(ctx, c, 0, 10); return err },
		"create a token": func(c *fattorino.Token) error {
			_, _, err := f.CreateToken(ctx, c, fattorino.Token{Kind: fattorino.AdminToken})
			return err
		},
		"list tokens":    func(c *fattorino.Token) error { _, err := f.Tokens(ctx, c, 0, 10); return err },
		"revoke a token": func(c *fattorino.Token) error { return f.RevokeToken(ctx, c, token.ID) },
		"list companies": func(c *fattorino.Token) error { _, err := f.Companies(ctx, c, 0, 10); return err },
		"name a company": func(c *fattorino.Token) error { _, err := f.NameCompany(ctx, c, 7, "x"); return err },
	} {
		for _, kind := range []fattorino.TokenKind{fattorino.APIToken, fattorino.PublishToken, ""} {
			err := do(&fattorino.Token{Kind: kind, App: 1, Scopes: []string{"*"}})
			if e := fattorino.AsError(err); err == nil || e.Kind != fattorino.Denied || e.Code != "NO_PERMISSION" {
				t.Errorf("%s with a token of kind %q: %v, want Denied", operation, kind, err)
			}
		}
	}
	if !f.known(t, secret) {
		t.Error("the token was revoked all the same")
	}
	if list, _ := f.Tokens(ctx, f.admin, 0, 10); len(list) != 1 {
		t.Errorf("%d tokens, want the one", len(list))
	}
}

func TestACallThatIsRefusedIsNotCounted(t *testing.T) {
	t.Parallel()
	f, call := setup(t), &fattorino.Counter{Name: "a", Window: noon}
	refusal := fattorino.Errorf(fattorino.TooMany, "no")
	for _, want := range []error{nil, refusal, nil} {
		err := f.CountCall(context.Background(), func(tx fattorino.CounterTx) error {
			if err := tx.Count(call); err != nil {
				return err
			}
			return want
		})
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if call.Count != 2 {
		t.Errorf("%d are counted, want the two that were not refused", call.Count)
	}
}

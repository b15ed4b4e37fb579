package subscriptions

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/fattorino-dev/fattorino/internal/auth"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

//go:embed openapi.yaml
var description string

// Service is what the door needs of the use cases.
type Service interface {
	Authenticate(ctx context.Context, secret string) (*fattorino.Token, error)
	Subscribe(ctx context.Context, caller *fattorino.Token, n fattorino.NewSubscription) (*fattorino.Subscription, []fattorino.TypeRefusal, error)
	Subscriptions(ctx context.Context, caller *fattorino.Token, company int64, contract string) ([]*fattorino.Subscription, error)
	Subscription(ctx context.Context, caller *fattorino.Token, company int64, contract string, id int64) (*fattorino.Subscription, error)
	ModifySubscription(ctx context.Context, caller *fattorino.Token, company int64, contract string, id int64, c fattorino.SubscriptionChange) (*fattorino.Subscription, []fattorino.TypeRefusal, error)
	DeleteSubscription(ctx context.Context, caller *fattorino.Token, company int64, contract string, id int64) error
}

// Rules are what the door needs of the contract that its subscriptions are
// under: the native one.
type Rules interface {
	Name() string
	Catalog() *fattorino.Catalog
	// CheckOptions fails with Invalid, each fault naming an option as the
	// native API does, where the contract does not offer what is wished.
	CheckOptions(n *fattorino.NewSubscription) error
	// NewSecret makes a signing secret for a signature that CheckOptions has
	// found good: as it is kept, as it is shown this once, and its public half.
	NewSecret(signature string) (s fattorino.Secret, shown, public string, err error)
	// PublicKey gives the public half of a kept secret; empty where it has none.
	PublicKey(s fattorino.Secret) (string, error)
	// SealHeaders encrypts header fields for [fattorino.Options].
	SealHeaders(fields []fattorino.Header) ([]byte, error)
	// OpenHeaders gives the header fields that SealHeaders sealed.
	OpenHeaders(sealed []byte) ([]fattorino.Header, error)
}

// A Door is the CloudEvents Subscriptions API, over the use cases.
type Door struct {
	service   Service
	rules     Rules
	log       *slog.Logger
	handshake string // of subscriptions that choose none
}

// NewDoor makes the door. Its subscriptions prove their sinks by CloudEvents'
// abuse protection ("options") unless they choose otherwise, and by a challenge
// where the contract does not offer that.
func NewDoor(s Service, rules Rules, log *slog.Logger) *Door {
	d := &Door{service: s, rules: rules, log: log, handshake: handshakeOptions}
	offered := rules.CheckOptions(&fattorino.NewSubscription{Options: fattorino.Options{Handshake: handshakeOptions}})
	if offered != nil {
		d.handshake = handshakeChallenge
	}
	return d
}

// What the two paths allow (section 3.1 of the API's HTTP binding).
const (
	allowAll = "GET, HEAD, POST, OPTIONS"
	allowOne = "GET, HEAD, PUT, DELETE, OPTIONS"
)

// Routes mounts the operations, and JSON answers for all else below
// /subscriptions. What a path allows can be asked for without a token, as can
// the description.
func (d *Door) Routes(mux *http.ServeMux) {
	const (
		all = "/subscriptions"
		one = all + "/{id}"
	)
	mux.Handle("GET "+all, d.handle(d.list))
	mux.Handle("POST "+all, d.handle(d.create))
	mux.Handle("OPTIONS "+all, discover(allowAll))
	mux.Handle(all, notAllowed(allowAll))
	mux.HandleFunc("GET "+all+"/openapi.yaml", describe)
	mux.Handle("GET "+one, d.handle(d.get))
	mux.Handle("PUT "+one, d.handle(d.replace))
	mux.Handle("DELETE "+one, d.handle(d.remove))
	mux.Handle("OPTIONS "+one, discover(allowOne))
	mux.Handle(one, notAllowed(allowOne))
	mux.HandleFunc(all+"/", notFound)
}

func describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml") // RFC 9512
	_, _ = io.WriteString(w, description)              // a caller that has gone away is no error of ours
}

// discover answers OPTIONS: what the path allows.
func discover(allow string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", allow)
		w.WriteHeader(http.StatusOK)
	})
}

// handle makes a handler of an operation: it finds out who calls.
func (d *Door) handle(operation func(http.ResponseWriter, *http.Request, *fattorino.Token) error) http.Handler {
	return httpjson.Handle(d.log, render, func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		caller, err := auth.Caller(d.service, r)
		if fattorino.KindOf(err) == fattorino.Unauthenticated {
			w.Header().Set("WWW-Authenticate", challengeFor(r))
		}
		if err != nil {
			return err
		}
		return operation(w, r, caller)
	})
}

// challengeFor gives the challenge of a 401; it says that the token is bad only
// where one was sent (RFC 6750, section 3.1).
func challengeFor(r *http.Request) string {
	if r.Header.Get("Authorization") == "" {
		return `Bearer realm="fattorino"`
	}
	return `Bearer realm="fattorino", error="invalid_token"`
}

// companyField and companyParameter name the company where the token is made
// for several; on create and update, config.company does as well.
const (
	companyField     = "X-Company-Id"
	companyParameter = "company"
)

// companyOf gives the company that the request is about: the one it names, by
// header, query or config.company (named; 0 = it does not), else the only one
// that the token is made for.
func companyOf(caller *fattorino.Token, r *http.Request, named int64) (int64, error) {
	text := r.Header.Get(companyField)
	if text == "" {
		text = r.URL.Query().Get(companyParameter)
	}
	if text != "" {
		company, err := strconv.ParseInt(text, 10, 64)
		if err != nil || company <= 0 {
			return 0, &fattorino.Error{
				Kind: fattorino.Malformed, Msg: "the company that the request names is not a positive integer",
				Fix: "correct the header " + companyField + " or the query parameter " + companyParameter,
			}
		}
		if named != 0 && named != company {
			return 0, fattorino.InvalidField("config.company", "is %d, and the request itself names %d", named, company)
		}
		return company, nil
	}
	switch {
	case named != 0:
		return named, nil
	case len(caller.Companies) == 1:
		return caller.Companies[0], nil
	}
	return 0, &fattorino.Error{
		Kind: fattorino.Malformed, Msg: "the token is made for several companies, and the request names none",
		Fix: "add the header " + companyField + " or the query parameter " + companyParameter +
			", on create and update config.company, or use a token made for one company",
	}
}

// numberOf reads the id in the path.
func numberOf(r *http.Request) (int64, error) {
	text := r.PathValue("id")
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 || strconv.FormatInt(id, 10) != text {
		return 0, fattorino.Errorf(fattorino.NotFound, "there is no such subscription")
	}
	return id, nil
}

// list gives the caller's subscriptions to the company by age, their sinks
// without the query, which can hold secrets.
func (d *Door) list(w http.ResponseWriter, r *http.Request, caller *fattorino.Token) error {
	company, err := companyOf(caller, r, 0)
	if err != nil {
		return err
	}
	subs, err := d.service.Subscriptions(r.Context(), caller, company, d.rules.Name())
	if err != nil {
		return err
	}
	answer := make([]subscription, 0, len(subs))
	for _, sub := range subs {
		shown, err := d.show(sub)
		if err != nil {
			return err
		}
		shown.Sink = withoutQuery(shown.Sink)
		answer = append(answer, shown)
	}
	return httpjson.Write(w, http.StatusOK, answer)
}

// create subscribes. The secret of a signature is in this answer and in no
// other.
func (d *Door) create(w http.ResponseWriter, r *http.Request, caller *fattorino.Token) error {
	wish, err := d.read(w, r)
	if err != nil {
		return err
	}
	company, err := companyOf(caller, r, wish.company)
	if err != nil {
		return err
	}
	n, err := d.forCreate(wish, company)
	if err != nil {
		return err
	}
	secret, shownSecret, _, err := d.rules.NewSecret(n.Options.Signature)
	if err != nil {
		return err
	}
	if len(secret.Sealed) > 0 {
		n.Secrets = []fattorino.Secret{secret}
	}
	sub, _, err := d.service.Subscribe(r.Context(), caller, *n)
	if err != nil {
		return blame(err)
	}
	shown, err := d.show(sub)
	if err != nil {
		return err
	}
	if shownSecret != "" {
		shown.Config[keySecret] = shownSecret
	}
	location := "/subscriptions/" + shown.ID
	if len(caller.Companies) != 1 {
		location += fmt.Sprintf("?%s=%d", companyParameter, company)
	}
	w.Header().Set("Location", location)
	return httpjson.Write(w, http.StatusCreated, shown)
}

// find gives the subscription that the path names.
func (d *Door) find(r *http.Request, caller *fattorino.Token, named int64) (*fattorino.Subscription, error) {
	id, err := numberOf(r)
	if err != nil {
		return nil, err
	}
	company, err := companyOf(caller, r, named)
	if err != nil {
		return nil, err
	}
	return d.service.Subscription(r.Context(), caller, company, d.rules.Name(), id)
}

func (d *Door) get(w http.ResponseWriter, r *http.Request, caller *fattorino.Token) error {
	sub, err := d.find(r, caller, 0)
	if err != nil {
		return err
	}
	return d.write(w, sub)
}

// maxRaces bounds how often a change is prepared anew because another came
// between.
const maxRaces = 5

// replace changes all that this API has a member for, from the state that it
// saw and from no other: values that are kept must be those of that state.
func (d *Door) replace(w http.ResponseWriter, r *http.Request, caller *fattorino.Token) error {
	wish, err := d.read(w, r)
	if err != nil {
		return err
	}
	for race := 1; ; race++ {
		seen, err := d.find(r, caller, wish.company)
		if err != nil {
			return err
		}
		change, err := d.forReplace(wish, seen)
		if err != nil {
			return err
		}
		change.Unless = func(now *fattorino.Subscription) error {
			if now.UpdatedAt.Equal(seen.UpdatedAt) {
				return nil
			}
			return fattorino.Errorf(fattorino.Stale, "the subscription was changed at the same time")
		}
		sub, _, err := d.service.ModifySubscription(r.Context(), caller, seen.Company, seen.Contract, seen.ID, change)
		if fattorino.KindOf(err) == fattorino.Stale && race < maxRaces {
			continue
		}
		if err != nil {
			return blame(err)
		}
		return d.write(w, sub)
	}
}

// remove ends a subscription and gives it once more.
func (d *Door) remove(w http.ResponseWriter, r *http.Request, caller *fattorino.Token) error {
	sub, err := d.find(r, caller, 0)
	if err != nil {
		return err
	}
	if err := d.service.DeleteSubscription(r.Context(), caller, sub.Company, sub.Contract, sub.ID); err != nil {
		return err
	}
	ended := sub.Clone()
	ended.State = fattorino.Deleted
	return d.write(w, ended)
}

func (d *Door) write(w http.ResponseWriter, sub *fattorino.Subscription) error {
	shown, err := d.show(sub)
	if err != nil {
		return err
	}
	return httpjson.Write(w, http.StatusOK, shown)
}

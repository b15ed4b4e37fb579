package defacto

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"github.com/fattorino-dev/fattorino/internal/auth"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// maxBody bounds the body of a request about webhooks.
const maxBody = 1 << 20

// Service is what the door needs of the use cases.
type Service interface {
	Authenticate(ctx context.Context, secret string) (*fattorino.Token, error)
	Subscribe(ctx context.Context, caller *fattorino.Token, n fattorino.NewSubscription) (*fattorino.Subscription, []fattorino.TypeRefusal, error)
	Subscriptions(ctx context.Context, caller *fattorino.Token, company int64, contract string) ([]*fattorino.Subscription, error)
	Subscription(ctx context.Context, caller *fattorino.Token, company int64, contract string, id int64) (*fattorino.Subscription, error)
	ModifySubscription(ctx context.Context, caller *fattorino.Token, company int64, contract string, id int64, c fattorino.SubscriptionChange) (*fattorino.Subscription, []fattorino.TypeRefusal, error)
	DeleteSubscription(ctx context.Context, caller *fattorino.Token, company int64, contract string, id int64) error
}

// A Door is the webhook API of Defacto, over the use cases.
type Door struct {
	service Service
	log     *slog.Logger
}

// NewDoor makes the door.
func NewDoor(s Service, log *slog.Logger) *Door { return &Door{service: s, log: log} }

// Routes mounts the operations. The path of one webhook is singular at
// Defacto; the plural, which clients guess, leads to the same. There is no GET
// of one webhook.
func (d *Door) Routes(mux *http.ServeMux) {
	mux.Handle("GET /hello", d.handle(d.hello))
	mux.Handle("/hello", notAllowed("GET, HEAD"))
	mux.Handle("GET /webhooks", d.handle(d.list))
	mux.Handle("POST /webhooks", d.handle(d.create))
	mux.Handle("/webhooks", notAllowed("GET, HEAD, POST"))
	for _, one := range []string{"/webhook/{id}", "/webhooks/{id}"} {
		mux.Handle("PATCH "+one, d.handle(d.modify))
		mux.Handle("DELETE "+one, d.handle(d.remove))
		mux.Handle(one, notAllowed("DELETE, PATCH"))
	}
	mux.HandleFunc("/webhook/", notFound)
	mux.HandleFunc("/webhooks/", notFound)
}

// A call is what every operation knows of its request.
type call struct {
	caller  *fattorino.Token
	company int64
}

// An operation answers one kind of request.
type operation func(http.ResponseWriter, *http.Request, call) error

func (d *Door) handle(o operation) http.Handler { return handle(d.service, d.log, o) }

// handle makes a handler of an operation: who calls, and on which company.
func handle(a auth.Authenticator, log *slog.Logger, o operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		show := func(w http.ResponseWriter, e *fattorino.Error) { render(w, r.URL.Path, e) }
		httpjson.Handle(log, show, func(w http.ResponseWriter, r *http.Request) error {
			c, err := admit(a, w, r)
			if err != nil {
				return err
			}
			return o(w, r, c)
		}).ServeHTTP(w, r)
	})
}

// admit finds out who calls and on which company.
func admit(a auth.Authenticator, w http.ResponseWriter, r *http.Request) (call, error) {
	caller, err := auth.Caller(a, r)
	if err != nil {
		if fattorino.KindOf(err) == fattorino.Unauthenticated {
			w.Header().Set("WWW-Authenticate", `Bearer realm="fattorino"`)
		}
		return call{}, err
	}
	if err := allow(caller, r.Method); err != nil {
		return call{}, err
	}
	if r.URL.Path == "/hello" {
		return call{caller: caller}, nil // says only that the key is good
	}
	company, err := companyOf(caller, r)
	return call{caller: caller, company: company}, err
}

// The scopes of this API.
const (
	readScope  = "defacto:r"
	writeScope = "defacto:a"
)

// allow refuses a token that is limited to scopes, and not to this one.
func allow(caller *fattorino.Token, method string) error {
	scope := writeScope
	if method == http.MethodGet || method == http.MethodHead {
		scope = readScope
	}
	if len(caller.Scopes) == 0 || caller.Holds(scope) {
		return nil
	}
	return &fattorino.Error{
		Kind: fattorino.Denied, Msg: "this needs the scope " + scope + ", which the token does not hold",
		Fix: "use a token with this scope, or one without any limit to scopes",
	}
}

// companyField and companyParameter name the company where the token is made
// for several.
const (
	companyField     = "X-Company-Id"
	companyParameter = "company"
)

// companyOf gives the company that the request is about.
func companyOf(caller *fattorino.Token, r *http.Request) (int64, error) {
	named := r.Header.Get(companyField)
	if named == "" {
		named = r.URL.Query().Get(companyParameter)
	}
	if named == "" {
		if len(caller.Companies) == 1 {
			return caller.Companies[0], nil
		}
		return 0, &fattorino.Error{
			Kind: fattorino.Malformed, Msg: "the token is made for several companies, and the request names none",
			Fix: "add the header " + companyField + " or the query parameter " + companyParameter + ", or use a token made for one company",
		}
	}
	company, err := strconv.ParseInt(named, 10, 64)
	if err != nil || company <= 0 {
		return 0, &fattorino.Error{
			Kind: fattorino.Malformed, Msg: "the company that the request names is not a positive integer",
			Fix: "correct the header " + companyField + " or the query parameter " + companyParameter,
		}
	}
	return company, nil
}

// hello tells a client that it is connected and its key is good.
func (d *Door) hello(w http.ResponseWriter, _ *http.Request, _ call) error {
	return httpjson.Write(w, http.StatusOK, map[string]string{"message": "Hello! You are connected to Fattorino."})
}

func (d *Door) list(w http.ResponseWriter, r *http.Request, c call) error {
	query := r.URL.Query()
	part, err := spanOf(webhookMark, query.Get("cursor"), query.Get("page_size"))
	if err != nil {
		return err
	}
	subs, err := d.service.Subscriptions(r.Context(), c.caller, c.company, name)
	if err != nil {
		return err
	}
	subs = slices.DeleteFunc(subs, func(s *fattorino.Subscription) bool { return s.ID <= part.after })
	answer := page[webhook]{Data: []webhook{}, PageSize: part.size}
	for _, s := range subs[:min(part.size, len(subs))] {
		answer.Data = append(answer.Data, shape(s))
	}
	answer.Count = len(answer.Data)
	if answer.Count < len(subs) {
		answer.NextPage = &answer.Data[answer.Count-1].ID
	}
	return httpjson.Write(w, http.StatusOK, answer)
}

func (d *Door) create(w http.ResponseWriter, r *http.Request, c call) error {
	body, err := httpjson.ReadBody(w, r, maxBody)
	if err != nil {
		return err
	}
	wish, err := readWish(body, true)
	if err != nil {
		return err
	}
	n := fattorino.NewSubscription{Company: c.company, Contract: name, Sink: *wish.toURL, Types: wish.types}
	if wish.name != nil {
		n.Options.Name = *wish.name
	}
	sub, _, err := d.service.Subscribe(r.Context(), c.caller, n)
	if err != nil {
		return blame(err)
	}
	return httpjson.Write(w, http.StatusCreated, shape(sub))
}

// modify changes what the body says and leaves the rest as it is.
func (d *Door) modify(w http.ResponseWriter, r *http.Request, c call) error {
	id, err := webhookID(r)
	if err != nil {
		return err
	}
	body, err := httpjson.ReadBody(w, r, maxBody)
	if err != nil {
		return err
	}
	wish, err := readWish(body, false)
	if err != nil {
		return err
	}
	change := fattorino.SubscriptionChange{Sink: wish.toURL, Types: wish.types}
	if wish.name != nil {
		sub, err := d.service.Subscription(r.Context(), c.caller, c.company, name, id)
		if err != nil {
			return err
		}
		options := sub.Options
		options.Name = *wish.name
		change.Options = &options
	}
	sub, _, err := d.service.ModifySubscription(r.Context(), c.caller, c.company, name, id, change)
	if err != nil {
		return blame(err)
	}
	return httpjson.Write(w, http.StatusOK, shape(sub))
}

func (d *Door) remove(w http.ResponseWriter, r *http.Request, c call) error {
	id, err := webhookID(r)
	if err != nil {
		return err
	}
	if err := d.service.DeleteSubscription(r.Context(), c.caller, c.company, name, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// webhookID reads the id in the path.
func webhookID(r *http.Request) (int64, error) {
	id, ok := numberOf(webhookMark, r.PathValue("id"))
	if !ok {
		return 0, fattorino.Errorf(fattorino.NotFound, "there is no such webhook")
	}
	return id, nil
}

// blame adds to an error of the use cases which member it is about: to_url
// where it names neither field nor code, which of a subscription's rules only
// those of the sink do.
func blame(err error) error {
	e := fattorino.AsError(err)
	if e.Kind != fattorino.Invalid || len(e.Faults) > 0 || e.Code != "" {
		return err
	}
	blamed := *e
	blamed.Faults = []fattorino.Fault{{Field: "to_url", Msg: sentence(e)}}
	return &blamed
}

package fic

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/fattorino-dev/fattorino/internal/auth"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// maxBody bounds the body of a request.
const maxBody = 1 << 20

// Service is what the door needs of the use cases.
type Service interface {
	Authenticate(ctx context.Context, secret string) (*fattorino.Token, error)
	Subscribe(ctx context.Context, caller *fattorino.Token, n fattorino.NewSubscription) (*fattorino.Subscription, []fattorino.TypeRefusal, error)
	Subscriptions(ctx context.Context, caller *fattorino.Token, company int64, contract string) ([]*fattorino.Subscription, error)
	Subscription(ctx context.Context, caller *fattorino.Token, company int64, contract string, id int64) (*fattorino.Subscription, error)
	ModifySubscription(ctx context.Context, caller *fattorino.Token, company int64, contract string, id int64, c fattorino.SubscriptionChange) (*fattorino.Subscription, []fattorino.TypeRefusal, error)
	DeleteSubscription(ctx context.Context, caller *fattorino.Token, company int64, contract string, id int64) error
	VerifySubscription(ctx context.Context, caller *fattorino.Token, company int64, contract string, id int64, m fattorino.Method) (*fattorino.Subscription, error)
	CountCall(ctx context.Context, f func(fattorino.CounterTx) error) error
}

// A Door is the subscriptions API of Fatture in Cloud, over the use cases.
type Door struct {
	service Service
	quotas  *gate
	log     *slog.Logger
}

// NewDoor makes the door. It fails when the time zone of the quotas' months is
// not to be had.
func NewDoor(s Service, q Quotas, log *slog.Logger) (*Door, error) {
	g, err := newGate(q, s.CountCall)
	if err != nil {
		return nil, err
	}
	return &Door{service: s, quotas: g, log: log}, nil
}

// Routes mounts the six operations, and JSON answers for everything else under
// /c/: the SDKs cannot decode a plain text 404 or 405.
//
// A path with a slash at its end is none of these: a client that has lost the
// id of its subscription is told so, rather than given the list.
func (d *Door) Routes(mux *http.ServeMux) {
	const (
		all    = "/c/{company_id}/subscriptions"
		one    = all + "/{subscription_id}"
		verify = one + "/verify"
	)
	mux.Handle("GET "+all, d.handle(d.list))
	mux.Handle("POST "+all, d.handle(d.create))
	mux.Handle("GET "+one, d.handle(d.get))
	mux.Handle("PUT "+one, d.handle(d.modify))
	mux.Handle("DELETE "+one, d.handle(d.remove))
	mux.Handle("POST "+verify, d.handle(d.verify))

	mux.Handle(all, notAllowed("GET, HEAD, POST"))
	mux.Handle(one, notAllowed("DELETE, GET, HEAD, PUT"))
	mux.Handle(verify, notAllowed("POST"))
	mux.Handle("/c/", http.HandlerFunc(notFound))
}

// notAllowed answers a method that the path does not have.
func notAllowed(allow string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		_ = httpjson.Write(w, http.StatusMethodNotAllowed, errorAnswer{Error: plainError{
			Message: "the method " + r.Method + " is not allowed here: use one of " + allow, Code: "METHOD_NOT_ALLOWED",
		}})
	})
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	render(w, fattorino.Errorf(fattorino.NotFound, "there is nothing at this path"))
}

// A call is what every operation knows of its request.
type call struct {
	caller  *fattorino.Token
	company int64
	id      int64 // the subscription; 0 where the path names none
	words   vocabulary
}

// handle makes a handler of an operation: who calls, on which company and
// subscription, within the quotas.
//
// Bodies of GET and DELETE are not looked at, nor is the Content-Type of any:
// Zapier sends {} with an empty one.
func (d *Door) handle(operation func(http.ResponseWriter, *http.Request, call) error) http.Handler {
	return httpjson.Handle(d.log, render, func(w http.ResponseWriter, r *http.Request) error {
		c, err := d.admit(w, r)
		if err != nil {
			return err
		}
		return operation(w, r, c)
	})
}

func (d *Door) admit(w http.ResponseWriter, r *http.Request) (call, error) {
	caller, err := auth.Caller(d.service, r)
	if err != nil {
		if fattorino.KindOf(err) == fattorino.Unauthenticated {
			w.Header().Set("WWW-Authenticate", authenticate(r))
		}
		return call{}, err
	}
	company, ok := parseNumber(r.PathValue("company_id"))
	if !ok {
		return call{}, fattorino.Errorf(fattorino.NotFound, "there is no such company")
	}
	// A token that does not reach the company is refused by every use case. It
	// must not use up the company's quota before.
	if caller.Reaches(company) {
		if err := d.quotas.pass(r.Context(), w.Header(), company, caller.App); err != nil {
			return call{}, err
		}
	}
	c := call{caller: caller, company: company, words: vocabularyOf(r.UserAgent())}
	if id := r.PathValue("subscription_id"); id != "" {
		if c.id, ok = parseID(id); !ok {
			return call{}, fattorino.Errorf(fattorino.NotFound, "there is no such subscription")
		}
	}
	return c, nil
}

// authenticate gives the challenge of a 401; it says that the token is bad
// only where one was sent (RFC 6750, section 3.1).
func authenticate(r *http.Request) string {
	if r.Header.Get("Authorization") == "" {
		return `Bearer realm="fattorino"`
	}
	return `Bearer realm="fattorino", error="invalid_token"`
}

func (d *Door) list(w http.ResponseWriter, r *http.Request, c call) error {
	subs, err := d.service.Subscriptions(r.Context(), c.caller, c.company, name)
	if err != nil {
		return err
	}
	answer := listAnswer{Data: make([]subscription, 0, len(subs))}
	for _, s := range subs {
		answer.Data = append(answer.Data, shape(s, c.words))
	}
	return httpjson.Write(w, http.StatusOK, answer)
}

func (d *Door) create(w http.ResponseWriter, r *http.Request, c call) error {
	req, err := read(w, r)
	if err != nil {
		return err
	}
	wish, err := req.forCreate(c.company)
	if err != nil {
		return err
	}
	sub, refused, err := d.service.Subscribe(r.Context(), c.caller, wish)
	if err != nil {
		return blame(err, refused, c.words)
	}
	return httpjson.Write(w, http.StatusOK, warnedAnswer{Data: shape(sub, c.words), Warnings: warnings(refused, c.words)})
}

func (d *Door) get(w http.ResponseWriter, r *http.Request, c call) error {
	sub, err := d.service.Subscription(r.Context(), c.caller, c.company, name, c.id)
	if err != nil {
		return err
	}
	return httpjson.Write(w, http.StatusOK, oneAnswer{Data: shape(sub, c.words)})
}

func (d *Door) modify(w http.ResponseWriter, r *http.Request, c call) error {
	req, err := read(w, r)
	if err != nil {
		return err
	}
	change, err := req.forModify()
	if err != nil {
		return err
	}
	sub, refused, err := d.service.ModifySubscription(r.Context(), c.caller, c.company, name, c.id, change)
	if err != nil {
		return blame(err, refused, c.words)
	}
	return httpjson.Write(w, http.StatusOK, warnedAnswer{Data: shape(sub, c.words), Warnings: warnings(refused, c.words)})
}

// remove answers without a body, as documented.
func (d *Door) remove(w http.ResponseWriter, r *http.Request, c call) error {
	if err := d.service.DeleteSubscription(r.Context(), c.caller, c.company, name, c.id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// verify answers without a body, as documented, whatever became of the
// challenge: it has been sent. To see, a client reads the subscription.
func (d *Door) verify(w http.ResponseWriter, r *http.Request, c call) error {
	req, err := read(w, r)
	if err != nil {
		return err
	}
	method, err := req.forVerify()
	if err != nil {
		return err
	}
	if _, err := d.service.VerifySubscription(r.Context(), c.caller, c.company, name, c.id, method); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// read reads the body of a request.
func read(w http.ResponseWriter, r *http.Request) (request, error) {
	body, err := httpjson.ReadBody(w, r, maxBody)
	if err != nil {
		return request{}, err
	}
	return readRequest(body)
}

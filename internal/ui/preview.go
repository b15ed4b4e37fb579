package ui

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/samples"
)

// previewView is the request that a receiver would get.
type previewView struct {
	Type    string
	Request *shownRequest
	Problem string
}

// A shownRequest is a request as it may be shown.
type shownRequest struct {
	Method, URL string
	Header      []shownHeader
	Body        string
}

// A shownHeader is a header field; of a secret one the name alone is known.
type shownHeader struct {
	Name, Value string
	Secret      bool
}

// preview builds the request of an example event, by the very contract that
// would, for a form as it is filled in so far.
func (u *UI) preview(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	form, faults := readSubscriptionForm(r.PostForm), formFaults{}
	if v.link != nil {
		form.App = v.link.App
	}
	if form.Sink == "" {
		form.Sink = "https://example.com/webhooks"
	}
	var view previewView
	if view.Type = u.exampleType(&form); view.Type == "" {
		view.Problem = v.Language.T("preview.types")
		return u.renderPart(w, v, http.StatusOK, "subscription_form", "preview", view)
	}
	wish, _, err := u.accept(&form, fattorino.Options{}, v.Company, nil, faults)
	if err == nil && len(faults) == 0 {
		view.Request, err = u.example(wish, form.App, view.Type)
		view.Request.blunt()
	}
	if err != nil || len(faults) > 0 {
		view.Problem = v.Language.T("preview.faults")
	}
	return u.renderPart(w, v, http.StatusOK, "subscription_form", "preview", view)
}

// blunt takes the signature off a token (RFC 7515, section 7.1) in a request that
// is never sent: nobody shall be able to have one signed for a sink by looking
// at it.
func (r *shownRequest) blunt() {
	if r == nil {
		return
	}
	for i, h := range r.Header {
		if dot := strings.LastIndexByte(h.Value, '.'); dot > 0 && strings.EqualFold(h.Name, "Authorization") {
			r.Header[i].Value = h.Value[:dot+1] + "…"
		}
	}
}

// exampleType gives a type that is asked for: a new invoice where that is among
// them, else the first. It is empty where there is none.
func (u *UI) exampleType(form *subscriptionForm) string {
	catalog := u.catalogOf(form.Contract)
	if catalog == nil {
		return ""
	}
	var types []string
	for _, name := range form.names() {
		types = append(types, u.testTypes(&fattorino.Subscription{Contract: form.Contract, Types: catalog.Explode(name)})...)
	}
	for _, typ := range types {
		if common, _ := u.Service.Catalogs().Common(typ); common == "invoice.created" {
			return typ
		}
	}
	if len(types) > 0 {
		return types[0]
	}
	return ""
}

// example builds the request that tells the subscription of an example event.
func (u *UI) example(wish *fattorino.NewSubscription, app int64, typ string) (*shownRequest, error) {
	now := time.Now()
	common, _ := u.Service.Catalogs().Common(typ)
	event := samples.Event(wish.Company, typ, common, now)
	sub := &fattorino.Subscription{
		ID: 1, Company: wish.Company, App: app, Contract: wish.Contract, Sink: wish.Sink, Types: wish.Types, Format: wish.Format,
		Filters: wish.Filters, Options: wish.Options, Secrets: wish.Secrets, State: fattorino.Active, CreatedAt: now, UpdatedAt: now,
	}
	contract := u.contract(wish.Contract)
	if batcher, ok := contract.(fattorino.Batcher); ok {
		if size, _ := batcher.Batch(sub); size > 1 {
			request, err := batcher.BatchNotification(sub, []*fattorino.Event{event}, now)
			return showRequest(sub.Format, request), err
		}
	}
	request, err := contract.Notification(sub, event, now)
	return showRequest(sub.Format, request), err
}

func showRequest(f fattorino.Format, r *fattorino.Request) *shownRequest {
	if r == nil {
		return nil
	}
	return &shownRequest{Method: r.Method, URL: shownSink(f, r.URL), Header: showHeader(r.Header), Body: showBody(r.Body)}
}

func showHeader(header []fattorino.Header) []shownHeader {
	var list []shownHeader
	for _, h := range header {
		shown := shownHeader{Name: h.Name, Value: h.Value, Secret: h.Secret || h.Value == fattorino.Hidden}
		if shown.Secret {
			shown.Value = ""
		}
		list = append(list, shown)
	}
	return list
}

// showBody gives a body as text: JSON with its lines and indents, other text as
// it is, with a mark for each byte that is no text.
func showBody(body []byte) string {
	var pretty bytes.Buffer
	if json.Indent(&pretty, body, "", "  ") == nil {
		return pretty.String()
	}
	if utf8.Valid(body) {
		return string(body)
	}
	return string(bytes.ToValidUTF8(body, []byte("�")))
}

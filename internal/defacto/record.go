package defacto

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The kind of the sandbox's documents, and the counter of their numbers.
const (
	documentKind   = "defacto_invoice"
	invoiceCounter = "defacto_invoice"
)

// sandboxSource is the CloudEvents source of the sandbox's events.
const sandboxSource = "/defacto/sandbox"

// A record is an invoice as it is kept, with what is still to be done about
// it: its change and the event that tells of it are written together, so that
// neither can be without the other, whatever is killed when.
type record struct {
	Number   int64     `json:"number"`
	Version  int       `json:"version"` // grows with each event
	Invoice  invoice   `json:"invoice"`
	VerifyAt time.Time `json:"verify_at,omitzero"` // when its verification ends
	Outbox   []pending `json:"outbox,omitempty"`   // events not published yet, oldest first
}

// A pending is an event on its way out.
type pending struct {
	Version    int       `json:"version"`
	Type       string    `json:"type"`
	Transition string    `json:"transition,omitempty"`
	Status     string    `json:"status"`
	At         time.Time `json:"at"`
	State      []byte    `json:"state"` // the invoice as it was then
}

func parseRecord(d *fattorino.Document) (*record, error) {
	var r record
	if err := json.Unmarshal(d.Body, &r); err != nil {
		return nil, fmt.Errorf("invoice %s: %w", d.ID, err)
	}
	return &r, nil
}

// document gives the record as it is kept: due at once while there is an event
// to publish, else when its verification ends.
func (r *record) document(company int64, now time.Time) *fattorino.Document {
	due := r.VerifyAt
	if len(r.Outbox) > 0 {
		due = now
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // metadata comes back as it was
	if err := e.Encode(r); err != nil {
		panic(err) // what was read as JSON always encodes
	}
	return &fattorino.Document{Kind: documentKind, Company: company, ID: r.Invoice.ID, DueAt: due, Body: b.Bytes()}
}

// tell puts an event of the invoice as it now is into the outbox.
func (r *record) tell(typ, transition string, now time.Time) {
	r.Version++
	r.Outbox = append(r.Outbox, pending{
		Version: r.Version, Type: typ, Transition: transition, Status: r.Invoice.Status, At: now, State: r.Invoice.encode(),
	})
}

// forget drops the events up to the version, which are published.
func (r *record) forget(version int) {
	for len(r.Outbox) > 0 && r.Outbox[0].Version <= version {
		r.Outbox = r.Outbox[1:]
	}
}

// How long a verification takes.
const (
	moment = time.Second
	oneDay = 24 * time.Hour
)

// submit hands the invoice in to be verified. It fails with Conflict where it
// has been already, and with Invalid and what is missing.
func (r *record) submit(now time.Time) error {
	if !r.Invoice.editable() {
		return wrongStatus(&r.Invoice, "submitted")
	}
	if err := r.Invoice.missing(); err != nil {
		return err
	}
	r.Invoice.Status, r.Invoice.IsDraft = submitted, false
	r.tell(typeSubmitted, "SUBMIT", now)
	switch r.Invoice.scenario() {
	case fail:
		// The verification breaks down: no outcome ever comes.
	case successLater:
		r.VerifyAt = now.Add(oneDay)
	default:
		r.VerifyAt = now.Add(moment)
	}
	return nil
}

// verify ends a verification that is due.
func (r *record) verify(now time.Time) {
	if r.VerifyAt.IsZero() || r.VerifyAt.After(now) {
		return
	}
	r.VerifyAt = time.Time{}
	if r.Invoice.scenario() == reject {
		r.Invoice.Status = toEdit
		r.tell(typeToEdit, "REJECT", now)
		return
	}
	r.Invoice.Status = verified
	r.tell(typeVerified, "VERIFY", now)
}

// remove deletes the invoice: it cannot be read any more, and is kept until
// that is told.
func (r *record) remove(now time.Time) {
	r.VerifyAt = time.Time{}
	r.Invoice.Status = deleted
	r.tell(typeDeleted, "DELETE", now)
}

func wrongStatus(v *invoice, done string) error {
	return &fattorino.Error{
		Kind: fattorino.Conflict, Msg: "the invoice is " + v.Status + " and cannot be " + done,
		Fix: "an invoice can be " + done + " while it is TO_SUBMIT or TO_EDIT",
	}
}

// event makes the event that tells of a change. It is the same every time it
// is made, so that it is stored once however often it is published.
//
// The entity has the invoice's number, and not its id, for there are
// vocabularies that know ids as integers only.
func (r *record) event(company int64, p *pending) *fattorino.Event {
	e := &fattorino.Event{
		ID: r.Invoice.ID + "-" + strconv.Itoa(p.Version), Source: sandboxSource, Type: p.Type,
		Subject: "company:" + strconv.FormatInt(company, 10), Time: p.At,
		DataContentType: "application/json", Form: fattorino.JSONData, Data: p.State,
		Extensions: map[string]any{"entity": "invoice/" + strconv.FormatInt(r.Number, 10), statusAttribute: p.Status},
	}
	if p.Transition != "" {
		e.Extensions[transitionAttribute] = p.Transition
	}
	return e
}

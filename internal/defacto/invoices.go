package defacto

import (
	"context"
	"net/http"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// maxInvoiceBody bounds the body of a request about an invoice, which can hold
// a PDF.
const maxInvoiceBody = 16 << 20

// Routes mounts the operations on invoices.
func (s *Sandbox) Routes(mux *http.ServeMux) {
	const (
		all    = "/invoices"
		one    = "/invoice/{id}"
		submit = one + "/submit"
	)
	mux.Handle("GET "+all, s.handle(s.list))
	mux.Handle("POST "+all, s.handle(s.create))
	mux.Handle("GET "+one, s.handle(s.get))
	mux.Handle("PATCH "+one, s.handle(s.modify))
	mux.Handle("DELETE "+one, s.handle(s.remove))
	mux.Handle("POST "+submit, s.handle(s.submit))

	mux.Handle(all, notAllowed("GET, HEAD, POST"))
	mux.Handle(one, notAllowed("DELETE, GET, HEAD, PATCH"))
	mux.Handle(submit, notAllowed("POST"))
	mux.HandleFunc("/invoice/", notFound)
	mux.HandleFunc("/invoices/", notFound)
}

// handle makes a handler of an operation, for those who may act on the
// company's invoices.
func (s *Sandbox) handle(o operation) http.Handler {
	return handle(s.service, s.log, func(w http.ResponseWriter, r *http.Request, c call) error {
		if c.caller.Kind == fattorino.PublishToken || !c.caller.Reaches(c.company) {
			return &fattorino.Error{
				Kind: fattorino.Denied, Msg: "this token may not act on invoices of the company",
				Fix: "use a token of kind api that is made for it",
			}
		}
		return o(w, r, c)
	})
}

func (s *Sandbox) create(w http.ResponseWriter, r *http.Request, c call) error {
	body, err := httpjson.ReadBody(w, r, maxInvoiceBody)
	if err != nil {
		return err
	}
	o, err := readObject(body)
	if err != nil {
		return err
	}
	made := invoice{Status: toSubmit, IsDraft: true, Currency: "EUR", LoanIDs: []string{}}
	made.apply(o, c.company)
	draft := o.flag("is_draft", true)
	if err := o.err(); err != nil {
		return err
	}
	var kept *record
	err = s.write.Update(r.Context(), func(tx fattorino.Tx) error {
		now := micros(time.Now())
		kept = &record{Invoice: made}
		number := &fattorino.Counter{Name: invoiceCounter, Window: time.Unix(0, 0)}
		if err := tx.Count(number); err != nil {
			return err
		}
		kept.Number = number.Count
		kept.Invoice.ID = uuidOf(invoiceMark, kept.Number)
		kept.tell("invoice.created", "", now)
		if !draft {
			if err := kept.submit(now); err != nil {
				return err
			}
		}
		return tx.PutDocument(kept.document(c.company, now))
	})
	if err != nil {
		return err
	}
	s.nudge()
	return writeInvoice(w, http.StatusCreated, &kept.Invoice)
}

func (s *Sandbox) get(w http.ResponseWriter, r *http.Request, c call) error {
	d, err := s.read.Document(r.Context(), documentKind, c.company, invoiceID(r))
	kept, err := present(d, err)
	if err != nil {
		return err
	}
	return writeInvoice(w, http.StatusOK, &kept.Invoice)
}

// modify changes an invoice that is not submitted.
func (s *Sandbox) modify(w http.ResponseWriter, r *http.Request, c call) error {
	body, err := httpjson.ReadBody(w, r, maxInvoiceBody)
	if err != nil {
		return err
	}
	return s.change(w, r, c, func(kept *record, now time.Time) error {
		if !kept.Invoice.editable() {
			return wrongStatus(&kept.Invoice, "changed")
		}
		return kept.edit(body, c.company, now)
	})
}

// submit hands an invoice in. A body may change it on the way.
func (s *Sandbox) submit(w http.ResponseWriter, r *http.Request, c call) error {
	body, err := httpjson.ReadBody(w, r, maxInvoiceBody)
	if err != nil {
		return err
	}
	return s.change(w, r, c, func(kept *record, now time.Time) error {
		if len(body) > 0 && kept.Invoice.editable() {
			if err := kept.edit(body, c.company, now); err != nil {
				return err
			}
		}
		return kept.submit(now)
	})
}

// remove deletes an invoice, whatever its status, and answers with its last
// state.
func (s *Sandbox) remove(w http.ResponseWriter, r *http.Request, c call) error {
	return s.change(w, r, c, func(kept *record, now time.Time) error {
		kept.remove(now)
		return nil
	})
}

// edit takes over what the body says, and tells of it where it changes
// anything.
func (r *record) edit(body []byte, company int64, now time.Time) error {
	o, err := readObject(body)
	if err != nil {
		return err
	}
	before := string(r.Invoice.encode())
	r.Invoice.apply(o, company)
	if err := o.err(); err != nil {
		return err
	}
	if string(r.Invoice.encode()) != before {
		r.tell("invoice.updated", "", now)
	}
	return nil
}

// change works a request into an invoice, and answers with the invoice as it
// then is.
func (s *Sandbox) change(w http.ResponseWriter, r *http.Request, c call, work func(*record, time.Time) error) error {
	var kept *record
	err := s.write.Update(r.Context(), func(tx fattorino.Tx) error {
		now := micros(time.Now())
		d, err := tx.Document(documentKind, c.company, invoiceID(r))
		if kept, err = present(d, err); err != nil {
			return err
		}
		if err := work(kept, now); err != nil {
			return err
		}
		return tx.PutDocument(kept.document(c.company, now))
	})
	if err != nil {
		return err
	}
	s.nudge()
	return writeInvoice(w, http.StatusOK, &kept.Invoice)
}

// present gives the record of a document; NotFound where there is none, and
// where the invoice is deleted.
func present(d *fattorino.Document, err error) (*record, error) {
	gone := fattorino.Errorf(fattorino.NotFound, "there is no such invoice")
	if fattorino.KindOf(err) == fattorino.NotFound {
		return nil, gone
	}
	if err != nil {
		return nil, err
	}
	r, err := parseRecord(d)
	if err != nil {
		return nil, err
	}
	if r.Invoice.Status == deleted {
		return nil, gone
	}
	return r, nil
}

// invoiceID gives the id in the path as it is kept. What is no id of an
// invoice is the id of none.
func invoiceID(r *http.Request) string {
	number, ok := numberOf(invoiceMark, r.PathValue("id"))
	if !ok {
		return ""
	}
	return uuidOf(invoiceMark, number)
}

// writeInvoice answers with the very bytes that events carry.
func writeInvoice(w http.ResponseWriter, status int, v *invoice) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(v.encode()) // a caller that has gone away is no error of ours
	return nil
}

// list shows the invoices of the company in the order they were made.
func (s *Sandbox) list(w http.ResponseWriter, r *http.Request, c call) error {
	query := r.URL.Query()
	part, err := spanOf(invoiceMark, query.Get("cursor"), query.Get("page_size"))
	if err != nil {
		return err
	}
	wanted, err := filterOf(query)
	if err != nil {
		return err
	}
	found, err := s.find(r.Context(), c.company, part, wanted)
	if err != nil {
		return err
	}
	answer := page[invoice]{Data: found[:min(len(found), part.size)], PageSize: part.size}
	answer.Count = len(answer.Data)
	if answer.Count < len(found) {
		answer.NextPage = &answer.Data[answer.Count-1].ID
	}
	return httpjson.Write(w, http.StatusOK, answer)
}

// find gives the invoices of a page, and one more where there is one.
func (s *Sandbox) find(ctx context.Context, company int64, part span, wanted *filter) ([]invoice, error) {
	found := []invoice{}
	after := ""
	if part.after > 0 {
		after = uuidOf(invoiceMark, part.after)
	}
	for {
		all, err := s.read.Documents(ctx, documentKind, company, after, batch)
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			after = d.ID
			r, err := parseRecord(d)
			if err != nil {
				return nil, err
			}
			if r.Invoice.Status == deleted || !wanted.passes(&r.Invoice) {
				continue
			}
			if found = append(found, r.Invoice); len(found) > part.size {
				return found, nil
			}
		}
		if len(all) < batch {
			return found, nil
		}
	}
}

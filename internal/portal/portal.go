// Package portal makes and keeps the links that open the pages of the
// management UI to an integrator: for one app and one company, and for as long
// as the link is good.
//
// A link is a signed text that names a record. The signature says that it was
// made here and when it ends, before anything is read; the record says for whom
// it is and how its pages look. The link is the session too: what a browser
// keeps is the link, so that nothing outlives it, and a link that is withdrawn
// ends every session that it has opened.
package portal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Documents is where links are read.
type Documents interface {
	Document(ctx context.Context, kind string, company int64, id string) (*fattorino.Document, error)
	DueDocuments(ctx context.Context, kind string, limit int) ([]*fattorino.Document, error)
}

// Updater is how they are written.
type Updater interface {
	Update(ctx context.Context, f func(fattorino.Tx) error) error
}

// A Signer makes texts that nobody else can make. A keychain is one.
type Signer interface {
	NewTicket(purpose string) (string, error)
	TicketValid(ticket, purpose string) bool
}

// Config is what the links are made of.
type Config struct {
	Documents Documents
	Store     Updater
	Signer    Signer
}

// Links are all links there are.
type Links struct{ Config }

// New makes the links that are kept in a store.
func New(c Config) *Links { return &Links{c} }

// The kinds of document. They belong to no company.
const (
	linkKind = "portal_link"
	logoKind = "portal_logo"
)

// How long a link is good, in minutes.
const (
	DefaultMinutes = 60
	MaxMinutes     = 24 * 60
)

// A Wish says what link to make.
type Wish struct {
	App     int64
	Company int64
	Minutes int      // 0 = DefaultMinutes
	Scopes  []string // as those of a token; nil = everything
	Theme   Theme
}

// A Theme is how the pages look. A field that is empty leaves what is there.
type Theme struct {
	Name  string // in the place of the product's
	Color string // of what can be pressed, as "#4c46c7"
	Logo  []byte // a PNG or JPEG
}

// A Link is one that was made.
type Link struct {
	ID        string    `json:"-"`
	App       int64     `json:"app"`
	Company   int64     `json:"company"`
	Scopes    []string  `json:"scopes"`
	Name      string    `json:"name,omitempty"`
	Color     string    `json:"color,omitempty"` // as "4c46c7"
	Logo      string    `json:"logo,omitempty"`  // as Links.Logo takes it
	CreatedAt time.Time `json:"created_at"`
	EndsAt    time.Time `json:"ends_at"`
}

// Caller gives the token that the use cases are called with: what the app's own
// token could do, with this company alone.
func (l *Link) Caller() *fattorino.Token {
	return &fattorino.Token{
		Kind: fattorino.APIToken, App: l.App, Companies: []int64{l.Company}, Scopes: l.Scopes,
		CreatedAt: l.CreatedAt, ExpiresAt: l.EndsAt,
	}
}

// Make makes a link, and the text that opens it. It fails with Invalid for a
// wish that cannot be had, each fault naming its field.
func (l *Links) Make(ctx context.Context, w Wish) (link *Link, text string, err error) {
	now := time.Now()
	link, logo, err := read(w, now)
	if err != nil {
		return nil, "", err
	}
	if text, err = l.write(link); err != nil {
		return nil, "", err
	}
	body, err := json.Marshal(link)
	if err != nil {
		return nil, "", err
	}
	ended, err := l.ended(ctx, now)
	if err != nil {
		return nil, "", err
	}
	err = l.Store.Update(ctx, func(tx fattorino.Tx) error {
		if _, err := tx.App(w.App); fattorino.KindOf(err) == fattorino.NotFound {
			return fattorino.InvalidField("app_id", "there is no app %d", w.App)
		} else if err != nil {
			return err
		}
		if err := tx.EnsureCompany(w.Company, now); err != nil {
			return err
		}
		for _, d := range ended {
			if err := sweep(tx, d, now); err != nil {
				return err
			}
		}
		if logo != nil {
			if err := keepLogo(tx, logo); err != nil {
				return err
			}
		}
		return tx.PutDocument(&fattorino.Document{Kind: linkKind, ID: link.ID, DueAt: link.EndsAt, Body: body})
	})
	return link, text, err
}

// read holds a wish to the rules.
func read(w Wish, now time.Time) (*Link, *fattorino.Document, error) {
	if w.App <= 0 {
		return nil, nil, fattorino.InvalidField("app_id", "app_id is required: the app whose pages the link opens")
	}
	if w.Company <= 0 {
		return nil, nil, fattorino.InvalidField("company", "company is required: a positive integer")
	}
	if w.Minutes == 0 {
		w.Minutes = DefaultMinutes
	}
	if w.Minutes < 1 || w.Minutes > MaxMinutes {
		return nil, nil, fattorino.InvalidField("minutes", "a link is good for 1 to %d minutes", MaxMinutes)
	}
	if w.Scopes == nil {
		w.Scopes = []string{"*"}
	}
	link := &Link{
		ID: rand.Text(), App: w.App, Company: w.Company, Scopes: w.Scopes, CreatedAt: now,
		EndsAt: now.Add(time.Duration(w.Minutes) * time.Minute).Truncate(time.Second), // as the text says it
	}
	logo, err := w.Theme.apply(link)
	return link, logo, err
}

// maxEnded bounds how many records one new link sweeps out.
const maxEnded = 100

// ended gives records of links and logos that are needed no more.
func (l *Links) ended(ctx context.Context, now time.Time) (list []*fattorino.Document, err error) {
	for _, kind := range []string{linkKind, logoKind} {
		due, err := l.Documents.DueDocuments(ctx, kind, maxEnded)
		if err != nil {
			return nil, err
		}
		list = append(list, due...)
	}
	return slices.DeleteFunc(list, func(d *fattorino.Document) bool { return d.DueAt.After(now) }), nil
}

// sweep deletes a record that has ended, unless it has been renewed meanwhile.
func sweep(tx fattorino.Tx, d *fattorino.Document, now time.Time) error {
	current, err := tx.Document(d.Kind, 0, d.ID)
	if fattorino.KindOf(err) == fattorino.NotFound || (err == nil && current.DueAt.After(now)) {
		return nil
	}
	if err != nil {
		return err
	}
	return tx.DeleteDocument(d.Kind, 0, d.ID)
}

// The text of a link is
//
//	id "." end "." ticket
//
// with the end in seconds since 1970, and the ticket signed for both of them
// and for this form of the text.

// maxText is longer than any text of a link, in bytes.
const maxText = 512

// write gives the text that opens a link.
func (l *Links) write(link *Link) (string, error) {
	named := link.ID + "." + strconv.FormatInt(link.EndsAt.Unix(), 10)
	ticket, err := l.Signer.NewTicket(purpose(named))
	return named + "." + ticket, err
}

// purpose is what the ticket of a link is good for; with the number of the form.
func purpose(named string) string { return "portal/1/" + named }

// Open gives the link of a text. It fails with NotFound for a text that was not
// made here, and one whose time is over or that was withdrawn, without saying
// which.
func (l *Links) Open(ctx context.Context, text string, now time.Time) (*Link, error) {
	dot := strings.LastIndexByte(text, '.')
	if dot < 0 || len(text) > maxText {
		return nil, noLink()
	}
	named, ticket := text[:dot], text[dot+1:]
	if !l.Signer.TicketValid(ticket, purpose(named)) {
		return nil, noLink()
	}
	id, end, _ := strings.Cut(named, ".")
	seconds, err := strconv.ParseInt(end, 10, 64)
	if err != nil || !now.Before(time.Unix(seconds, 0)) {
		return nil, noLink()
	}
	d, err := l.Documents.Document(ctx, linkKind, 0, id)
	if fattorino.KindOf(err) == fattorino.NotFound {
		return nil, noLink()
	}
	if err != nil {
		return nil, err
	}
	link := &Link{ID: id}
	if err := json.Unmarshal(d.Body, link); err != nil {
		return nil, errors.Join(errors.New("the record of a link cannot be read"), err)
	}
	return link, nil
}

// Withdraw ends a link before its time, and every session that it has opened.
// It fails with NotFound where there is none.
func (l *Links) Withdraw(ctx context.Context, id string) error {
	return l.Store.Update(ctx, func(tx fattorino.Tx) error {
		if _, err := tx.Document(linkKind, 0, id); err != nil {
			return noLinkUnless(err)
		}
		return tx.DeleteDocument(linkKind, 0, id)
	})
}

func noLinkUnless(err error) error {
	if fattorino.KindOf(err) == fattorino.NotFound {
		return noLink()
	}
	return err
}

func noLink() error { return fattorino.Errorf(fattorino.NotFound, "there is no such link") }

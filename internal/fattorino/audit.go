package fattorino

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Deed is something that somebody did: an entry of the audit. It is written in
// the transaction that did it, so that there is none without the other. It
// holds no secret.
type Deed struct {
	At      time.Time `json:"at"`
	Action  string    `json:"action"`            // object and verb, as "subscription.delete"
	Object  string    `json:"object,omitempty"`  // what was acted on, as "subscription/12"
	Company int64     `json:"company,omitempty"` // 0 = none

	// Who did it: the token, and the user where the caller named one.
	By    string    `json:"by,omitempty"`
	Kind  TokenKind `json:"kind,omitempty"`
	Token int64     `json:"token,omitempty"` // 0 = one that is not kept: of the settings, or of the UI
	Hint  string    `json:"hint,omitempty"`  // last characters of the token's secret
	App   int64     `json:"app,omitempty"`
}

// AuditRetention is how long deeds are kept.
const AuditRetention = 365 * 24 * time.Hour

// deedKind is that of the documents that deeds are kept in. They are all under
// company 0, with ids that are the smaller the later they are.
const deedKind = "audit"

// do runs f in a transaction of the committer and writes what the caller did
// with it. f may say in the deed what it has acted on; an action that it makes
// empty is not written.
func (s *Service) do(ctx context.Context, caller *Token, action string, company int64, object string, f func(Tx, *Deed) error) error {
	d := Deed{
		At: time.Now(), Action: action, Object: object, Company: company,
		By: caller.Name, Kind: caller.Kind, Token: caller.ID, Hint: caller.Hint, App: caller.App,
	}
	salt := make([]byte, 6)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	place := fmt.Sprintf("%016x-%s", math.MaxInt64-d.At.UnixMicro(), hex.EncodeToString(salt))
	err := s.Engine.Update(ctx, func(tx Tx) error {
		deed := d
		if err := f(tx, &deed); err != nil || deed.Action == "" {
			return err
		}
		body, err := json.Marshal(deed)
		if err != nil {
			return err
		}
		return tx.PutDocument(&Document{Kind: deedKind, ID: place, DueAt: d.At.Add(AuditRetention), Body: body})
	})
	if err == nil {
		s.forgetDeeds(ctx)
	}
	return err
}

// Note writes into the audit what was done elsewhere than in a use case.
func (s *Service) Note(ctx context.Context, caller *Token, action string, company int64, object string) error {
	return s.do(ctx, caller, action, company, object, func(Tx, *Deed) error { return nil })
}

// objectOf names what a deed acted on.
func objectOf(kind string, id int64) string { return kind + "/" + strconv.FormatInt(id, 10) }

// DeedQuery asks for deeds, latest first.
type DeedQuery struct {
	Text    string // in action, object, user or hint, whatever the case; empty = all
	Company int64  // 0 = all
	After   string // those that come after the place; empty = from the latest
	Limit   int
}

// How far one look at the audit goes: it is read on from there on demand.
const (
	deedPage  = 500
	deedReach = 20 * deedPage
)

// Deeds gives what was done, latest first, and the place to read on from; empty
// where there is nothing more. A search may give less than the limit and go on.
func (s *Service) Deeds(ctx context.Context, caller *Token, q DeedQuery) (found []*Deed, next string, err error) {
	if err := need(caller, 0, AdminToken); err != nil {
		return nil, "", err
	}
	next = q.After
	for range deedReach / deedPage {
		page, err := s.Store.Documents(ctx, deedKind, 0, next, deedPage)
		if err != nil {
			return nil, "", err
		}
		for _, doc := range page {
			if len(found) == q.Limit {
				return found, next, nil
			}
			next = doc.ID
			d := &Deed{}
			if err := json.Unmarshal(doc.Body, d); err != nil {
				return nil, "", fmt.Errorf("audit %s: %w", doc.ID, err)
			}
			if q.passes(d) {
				found = append(found, d)
			}
		}
		if len(page) < deedPage {
			return found, "", nil
		}
	}
	return found, next, nil
}

func (q *DeedQuery) passes(d *Deed) bool {
	if q.Company != 0 && q.Company != d.Company {
		return false
	}
	said := strings.ToLower(strings.Join([]string{d.Action, d.Object, d.By, d.Hint, string(d.Kind)}, "\n"))
	return strings.Contains(said, strings.ToLower(q.Text))
}

// pruning says when deeds were last looked through for those past retention.
type pruning struct {
	mu   sync.Mutex
	last time.Time
}

// due tells whether it is time again, and notes that it was.
func (p *pruning) due(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.last) < time.Hour {
		return false
	}
	p.last = now
	return true
}

// forgetDeeds deletes deeds past their retention, some at a time. That it fails
// is no fault of what was just done: it is tried again.
func (s *Service) forgetDeeds(ctx context.Context) {
	now := time.Now()
	if !s.pruning.due(now) {
		return
	}
	old, err := s.Store.DueDocuments(ctx, deedKind, deedPage)
	if err != nil || len(old) == 0 || old[0].DueAt.After(now) {
		return
	}
	_ = s.Engine.Update(ctx, func(tx Tx) error {
		for _, doc := range old {
			if doc.DueAt.After(now) {
				return nil
			}
			if err := tx.DeleteDocument(deedKind, 0, doc.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

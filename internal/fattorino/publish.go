package fattorino

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Publish accepts events, all or none, and returns once they are durable. An
// event whose source and id were accepted before for the company gets the
// receipt of then; the same id with other content is a Conflict.
//
// Each event names its company in the extension attribute companyid, else in
// the subject "company:<id>".
func (s *Service) Publish(ctx context.Context, caller *Token, events []*Event) ([]Receipt, error) {
	if err := need(caller, 0, PublishToken, AdminToken); err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return []Receipt{}, nil
	}
	words := s.vocabulary.Load()
	var faults []Fault
	for i, e := range events {
		at := place(i, len(events))
		faults = append(faults, words.catalogs.complete(e, at)...)
		if room := maxDataFaults - len(faults); room > 0 {
			found := words.check(e, at)
			faults = append(faults, found[:min(len(found), room)]...)
		}
	}
	if len(faults) > 0 {
		return nil, &Error{Kind: Invalid, Msg: "the events cannot be accepted: nothing was stored", Faults: faults}
	}
	for _, e := range events {
		if err := need(caller, e.Company, PublishToken, AdminToken); err != nil {
			return nil, err
		}
	}
	for _, e := range events {
		e.Hashes() // here, where many work at once, and not in the one committer
	}
	receipts, err := s.Engine.Publish(ctx, events)
	if err != nil {
		return nil, err
	}
	for i := range receipts {
		receipts[i].Warning = words.catalogs.doubt(events[i].Type)
	}
	return receipts, nil
}

// maxDataFaults bounds the faults that are told of at once: where there are as
// many, data is checked no further.
const maxDataFaults = 32

// place gives the prefix of field names for event i of n.
func place(i, n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf("events.%d.", i)
}

// complete fills in what Fattorino adds to an event: company, entity, common
// name.
func (cs *Catalogs) complete(e *Event, at string) []Fault {
	company, fault := companyOf(e)
	if fault != nil {
		fault.Field = at + fault.Field
		return []Fault{*fault}
	}
	e.Company = company
	e.Common, _ = cs.Common(e.Type)
	if about, given := e.Extensions["entity"]; given {
		text, _ := about.(string)
		entity, err := ParseEntity(text)
		if err != nil {
			return []Fault{{Field: at + "entity", Msg: err.Error()}}
		}
		e.Entity = entity
		return nil
	}
	// A type can be any text, and give a noun that could be written and not read
	// again: such an event has no entity.
	noun := cs.Noun(e.Type)
	if ids := idsIn(e); len(ids) > 0 && noun != "" && !strings.Contains(noun, "/") {
		e.Entity = Entity{Type: noun, IDs: ids}
	}
	return nil
}

// companyOf reads the company from the extension companyid (string or
// integer), else from the subject "company:<id>".
func companyOf(e *Event) (int64, *Fault) {
	field, text := "companyid", ""
	switch v := e.Extensions["companyid"].(type) {
	case string:
		text = v
	case int32:
		text = strconv.Itoa(int(v))
	default:
		var ok bool
		if text, ok = strings.CutPrefix(e.Subject, "company:"); !ok {
			return 0, &Fault{Field: "companyid", Msg: `the event names no company: set the extension attribute companyid, or the subject "company:<id>"`}
		}
		field = "subject"
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, &Fault{Field: field, Msg: fmt.Sprintf("company %q is not a positive integer", text)}
	}
	return id, nil
}

// idsIn reads data.ids, else data.id: strings or numbers, kept as written.
func idsIn(e *Event) []string {
	if e.Form != JSONData {
		return nil
	}
	var id, ids []byte
	eachMember(e.Data, func(name, value []byte) {
		switch string(name) {
		case `"id"`:
			id = value
		case `"ids"`:
			ids = value
		}
	})
	if ids != nil && string(ids) != "null" {
		if texts, ok := scalars(ids); !ok || len(texts) > 0 {
			return texts
		}
	}
	if text, ok := scalar(id); ok {
		return []string{text}
	}
	return nil
}

// scalars gives the texts of a JSON array, where all are what scalar takes;
// what is of another shape is data like any other.
func scalars(array []byte) (texts []string, ok bool) {
	ok = len(array) > 0 && array[0] == '['
	eachElement(array, func(element []byte) {
		text, is := scalar(element)
		texts, ok = append(texts, text), ok && is
	})
	if !ok {
		return nil, false
	}
	return texts, true
}

// scalar gives the text of a JSON string or number; false for anything else
// and for what an entity's id cannot hold.
func scalar(raw []byte) (string, bool) {
	if len(raw) == 0 {
		return "", false
	}
	if raw[0] == '-' || (raw[0] >= '0' && raw[0] <= '9') {
		return string(raw), len(bytes.Trim(raw, "+-.0123456789Ee")) == 0
	}
	var text string
	if raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return "", false
	}
	return text, text != "" && !strings.Contains(text, ",")
}

// doubt warns of a type that no catalog knows: accepted, for CloudEvents are
// open, but heard by readers of the pull API alone, and under open catalogs by
// who subscribed to this very name or to a wildcard. And of one that is
// deprecated.
func (cs *Catalogs) doubt(typ string) string {
	if _, known := cs.Common(typ); known {
		return cs.Deprecation(typ)
	}
	warning := fmt.Sprintf("the type %q is in no catalog: only subscriptions to this very name or a wildcard hear it", typ)
	if near := cs.Nearest(typ); near != "" {
		warning += fmt.Sprintf("; did you mean %q?", near)
	}
	return warning
}

// Pull gives a company's events after a Seq, oldest first, and the Seq to go
// on from. Where there are none it waits for one, up to wait. A reader that
// keeps its place misses nothing that its token's scopes let it read; one whose
// place is older than what is kept is told so (Gone).
func (s *Service) Pull(ctx context.Context, caller *Token, q EventQuery, wait time.Duration) ([]*Event, int64, error) {
	if err := need(caller, q.Company, APIToken, AdminToken); err != nil {
		return nil, 0, err
	}
	types, err := s.heard(q.Types)
	if err != nil {
		return nil, 0, err
	}
	q.Types = types
	deadline := time.Now().Add(wait)
	for {
		committed := s.Engine.Committed(q.Company) // asked for before reading, so that no event falls between
		events, last, err := s.page(ctx, q)
		if err != nil && ctx.Err() != nil && wait > 0 {
			return []*Event{}, q.After, nil // the wait was cut short, here or by the reader
		}
		if err != nil {
			return nil, 0, err
		}
		if len(events) > 0 {
			q.After = next(events, q, last)
			if readable := s.readable(caller, events); len(readable) > 0 {
				return readable, q.After, nil
			}
			continue // a page of what is not for this reader
		}
		q.After = max(q.After, last)
		if !waitFor(ctx, committed, time.Until(deadline)) {
			return []*Event{}, q.After, nil
		}
	}
}

// readable gives the events of the types that the caller holds the scopes of.
func (s *Service) readable(caller *Token, events []*Event) []*Event {
	return slices.DeleteFunc(events, func(e *Event) bool { return !s.mayHear(caller, e) })
}

// mayHear tells whether the caller holds the scopes of the event's type.
func (s *Service) mayHear(caller *Token, e *Event) bool {
	if caller.Holds("*") {
		return true
	}
	catalogs := s.Catalogs()
	for _, scope := range union(catalogs.Scopes(e.Type), catalogs.Scopes(e.Common)) {
		if !caller.Holds(scope) {
			return false
		}
	}
	return true
}

// heard gives the types asked for and every common name that they are told of,
// so that a reader in one contract's words misses nothing that a subscription
// with them would hear.
func (s *Service) heard(types []string) ([]string, error) {
	catalogs, all := s.Catalogs(), types
	for _, name := range types {
		if strings.Contains(name, "*") {
			return nil, InvalidField("types", "%q is a wildcard: name the types themselves", name)
		}
		all = union(all, catalogs.Linked(name))
	}
	return all, nil
}

// page reads a page of events, and the Seq of the newest that was there.
func (s *Service) page(ctx context.Context, q EventQuery) (events []*Event, last int64, err error) {
	if last, err = s.reach(ctx, q); err != nil {
		return nil, 0, err
	}
	events, err = s.Store.Events(ctx, q)
	return events, last, err
}

// reach gives the Seq of the company's newest event, and fails when events
// after q.After have been pruned.
func (s *Service) reach(ctx context.Context, q EventQuery) (last int64, err error) {
	company, err := s.Store.Company(ctx, q.Company)
	if KindOf(err) == NotFound {
		return 0, nil // not heard of yet: nothing has happened
	}
	if err != nil {
		return 0, err
	}
	oldest, err := s.Store.OldestSeq(ctx, q.Company)
	if err != nil {
		return 0, err
	}
	if oldest == 0 {
		oldest = company.LastSeq + 1
	}
	if q.After < oldest-1 && q.After > 0 {
		return 0, &Error{
			Kind: Gone, Code: "pruned",
			Msg: fmt.Sprintf("events %d to %d are past their retention and no longer kept", q.After+1, oldest-1),
			Fix: fmt.Sprintf("go on with after=%d, and read the resources themselves to catch up", oldest-1),
		}
	}
	return company.LastSeq, nil
}

// next is where a reader goes on: after the last event of a full page, else
// after everything that was there when the page was read, whatever its type.
func next(events []*Event, q EventQuery, last int64) int64 {
	tail := events[len(events)-1].Seq
	if len(events) < q.Limit {
		return max(tail, last)
	}
	return tail
}

// waitFor reports whether the signal came within d.
func waitFor(ctx context.Context, signal <-chan struct{}, d time.Duration) bool {
	if d <= 0 {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-signal:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

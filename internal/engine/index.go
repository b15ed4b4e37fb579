package engine

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// index knows the subscriptions that are not gone, or have something left to do,
// and finds those that hear an event. Only the committer changes it, after a
// commit, so it always agrees with the store when an event is matched.
type index struct {
	contracts map[string]fattorino.Contract
	compile   func(filters []byte) (func(*fattorino.Event) bool, error)

	mu        sync.RWMutex
	byID      map[int64]*fattorino.Subscription
	companies map[int64]*hearing
	filters   map[int64]func(*fattorino.Event) bool // of the subscriptions that have some
	ends      map[int64]time.Time                   // of the subscriptions that have an end date
	undos     map[int64]time.Time                   // of those that can be restored: until when

	challenges map[int64]struct{} // subscriptions whose sink has to be challenged
}

// hearing is who hears what in one company.
type hearing struct {
	byName    map[string][]int64 // type or common name → subscriptions
	wildcards []wildcard
}

// wildcard is a subscription to every type that begins with the prefix.
type wildcard struct {
	prefix       string
	subscription int64
}

func newIndex(c Config) *index {
	x := &index{
		contracts: map[string]fattorino.Contract{}, compile: c.CompileFilters,
		byID: map[int64]*fattorino.Subscription{}, companies: map[int64]*hearing{}, filters: map[int64]func(*fattorino.Event) bool{},
		ends: map[int64]time.Time{}, undos: map[int64]time.Time{}, challenges: map[int64]struct{}{},
	}
	for _, contract := range c.Contracts {
		x.contracts[contract.Name()] = contract
	}
	return x
}

// get gives a subscription as it is in force; nil for one that is unknown.
func (x *index) get(id int64) *fattorino.Subscription {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byID[id]
}

// put takes in a new or changed subscription. It fails on filters that were
// good when they were registered and are not any more.
func (x *index) put(s *fattorino.Subscription) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old := x.byID[s.ID]; old != nil && old.State.Hears() {
		x.unlisten(old)
	}
	x.byID[s.ID] = s
	x.date(s)
	if delete(x.challenges, s.ID); s.Handshake.Pending {
		x.challenges[s.ID] = struct{}{}
	}
	if !s.State.Hears() {
		return nil
	}
	if len(s.Filters) > 0 {
		filter, err := x.compile(s.Filters)
		if err != nil {
			return err
		}
		x.filters[s.ID] = filter
	}
	x.listen(s)
	return nil
}

// date takes note of when time will end the subscription.
func (x *index) date(s *fattorino.Subscription) {
	delete(x.ends, s.ID)
	delete(x.undos, s.ID)
	switch at := s.EndsBy(); {
	case at.IsZero():
	case s.State.Gone():
		x.undos[s.ID] = at
	default:
		x.ends[s.ID] = at
	}
}

// toChallenge gives the subscriptions whose sink has to be challenged.
func (x *index) toChallenge() (all []*fattorino.Subscription) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for id := range x.challenges {
		all = append(all, x.byID[id])
	}
	return all
}

// forget drops a subscription that is gone and has nothing left to do; not one
// that has just been restored.
func (x *index) forget(id int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s := x.byID[id]; s != nil && s.State.Gone() {
		delete(x.byID, id)
		delete(x.undos, id)
		delete(x.challenges, id)
	}
}

// nextEnd gives when time will end the next subscription; false where it will
// end none.
func (x *index) nextEnd() (next time.Time, found bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, dates := range []map[int64]time.Time{x.ends, x.undos} {
		for _, at := range dates {
			if !found || at.Before(next) {
				next, found = at, true
			}
		}
	}
	return next, found
}

// over gives the subscriptions whose time is over.
func (x *index) over(now time.Time) (ids []int64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, dates := range []map[int64]time.Time{x.ends, x.undos} {
		for id, at := range dates {
			if !at.After(now) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

func (x *index) listen(s *fattorino.Subscription) {
	h := x.companies[s.Company]
	if h == nil {
		h = &hearing{byName: map[string][]int64{}}
		x.companies[s.Company] = h
	}
	for _, name := range x.names(s) {
		if prefix, wild := strings.CutSuffix(name, "*"); wild {
			h.wildcards = append(h.wildcards, wildcard{prefix, s.ID})
			continue
		}
		h.byName[name] = append(h.byName[name], s.ID)
	}
}

func (x *index) unlisten(s *fattorino.Subscription) {
	h := x.companies[s.Company]
	if h == nil {
		return // its filters could not be understood
	}
	for _, name := range x.names(s) {
		left := slices.DeleteFunc(h.byName[name], func(id int64) bool { return id == s.ID })
		if h.byName[name] = left; len(left) == 0 {
			delete(h.byName, name)
		}
	}
	h.wildcards = slices.DeleteFunc(h.wildcards, func(w wildcard) bool { return w.subscription == s.ID })
	if len(h.byName) == 0 && len(h.wildcards) == 0 {
		delete(x.companies, s.Company)
	}
	delete(x.filters, s.ID)
}

// names gives every name under which an event can reach the subscription: its
// types, wildcards among them, and the common names they are linked to.
func (x *index) names(s *fattorino.Subscription) []string {
	var names []string
	catalog := x.contracts[s.Contract].Catalog()
	for _, name := range s.Types {
		t, _ := catalog.Type(name)
		names = append(names, name)
		names = append(names, t.Common...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// match gives the subscriptions that hear an event committed now, each once.
func (x *index) match(e *fattorino.Event, now time.Time) []int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	h := x.companies[e.Company]
	if h == nil {
		return nil
	}
	all := slices.Clone(h.byName[e.Type])
	if e.Common != "" && e.Common != e.Type {
		all = append(all, h.byName[e.Common]...)
	}
	for _, w := range h.wildcards {
		if strings.HasPrefix(e.Type, w.prefix) || (e.Common != "" && strings.HasPrefix(e.Common, w.prefix)) {
			all = append(all, w.subscription)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(x.filters) == 0 && len(x.ends) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(id int64) bool {
		passes, filtered := x.filters[id]
		at, ends := x.ends[id]
		return (ends && !at.After(now)) || (filtered && !passes(e))
	})
}

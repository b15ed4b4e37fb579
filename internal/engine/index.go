package engine

import (
	"slices"
	"sync"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// index knows the subscriptions that are not gone, and finds those that hear
// an event. Only the committer changes it, after a commit, so it always agrees
// with the store when an event is matched.
type index struct {
	contracts map[string]fattorino.Contract

	mu      sync.RWMutex
	byID    map[int64]*fattorino.Subscription
	hearing map[int64]map[string][]int64 // company → type or common name → active subscriptions
}

func newIndex(contracts map[string]fattorino.Contract) *index {
	return &index{
		contracts: contracts, byID: map[int64]*fattorino.Subscription{},
		hearing: map[int64]map[string][]int64{},
	}
}

// get gives a subscription as it is in force; nil for one that is unknown.
func (x *index) get(id int64) *fattorino.Subscription {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byID[id]
}

// put takes in a new or changed subscription.
func (x *index) put(s *fattorino.Subscription) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old := x.byID[s.ID]; old != nil && old.State == fattorino.Active {
		x.unlisten(old)
	}
	x.byID[s.ID] = s
	if s.State == fattorino.Active {
		x.listen(s)
	}
}

// forget drops a subscription that is gone and has nothing left to do.
func (x *index) forget(id int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.byID, id)
}

func (x *index) listen(s *fattorino.Subscription) {
	types := x.hearing[s.Company]
	if types == nil {
		types = map[string][]int64{}
		x.hearing[s.Company] = types
	}
	for _, name := range x.names(s) {
		types[name] = append(types[name], s.ID)
	}
}

func (x *index) unlisten(s *fattorino.Subscription) {
	types := x.hearing[s.Company]
	for _, name := range x.names(s) {
		left := slices.DeleteFunc(types[name], func(id int64) bool { return id == s.ID })
		if types[name] = left; len(left) == 0 {
			delete(types, name)
		}
	}
	if len(types) == 0 {
		delete(x.hearing, s.Company)
	}
}

// names gives every name under which an event can reach the subscription: its
// types and the common names they are linked to.
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

// match gives the subscriptions that hear the event, each once.
func (x *index) match(e *fattorino.Event) []int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	types := x.hearing[e.Company]
	if types == nil {
		return nil
	}
	found := types[e.Type]
	if e.Common == "" || e.Common == e.Type {
		return slices.Clone(found)
	}
	linked := types[e.Common]
	all := slices.Concat(found, linked)
	if len(found) > 0 && len(linked) > 0 {
		slices.Sort(all)
		all = slices.Compact(all)
	}
	return all
}

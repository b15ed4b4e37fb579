package move_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/move"
)

func TestEverythingOfADataFolderIsInTheDatabase(t *testing.T) {
	t.Parallel()
	for name, parameters := range map[string]string{"": "", "behind a pooler without prepared statements": "&default_query_exec_mode=exec"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			moveEverything(t, parameters)
		})
	}
}

func moveEverything(t *testing.T, parameters string) {
	// Given a data folder with something of everything in it,
	f := newFolder(t)
	before := f.read(f.Store)
	f.must(f.Close())

	// when it is moved,
	url := database(t) + parameters
	report, err := move.Run(ctx, options(f.dir, url))
	f.must(err)

	// then what is read from the database is what was read from the folder, but for
	// the ids of events and deliveries.
	s := openDatabase(t, url)
	after := f.read(s)
	if diff := cmp.Diff(before, after, cmp.AllowUnexported(everything{}), cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0), cmpopts.IgnoreUnexported(fattorino.Event{})); diff != "" {
		t.Errorf("read from the folder (-) and from the database (+):\n%s", diff)
	}
	for _, m := range report.Tables {
		if m.Rows == 0 {
			t.Errorf("nothing was moved to the table %s: the test proves nothing of it", m.Table)
		}
	}
	if n := number(t, url, `SELECT count(*) FROM deliveries d JOIN events e ON e.part = d.part AND e.key = d.event
		WHERE d.id < e.first_delivery OR d.id >= e.first_delivery + e.deliveries`); n > 0 {
		t.Errorf("%d deliveries have ids outside of the range of their event's", n)
	}
	f.goesOn(s)
}

// everything is what can be read from a store. Events and deliveries have, in the
// place of their ids, the order that they have in it.
type everything struct {
	Apps          []*fattorino.App
	Tokens        []*fattorino.Token
	Keys          []*fattorino.Key
	Types         []*fattorino.OwnType
	Groups        []fattorino.Group
	Documents     []*fattorino.Document
	Companies     []*fattorino.Company
	Subscriptions []*fattorino.Subscription
	Live          []int64
	Events        map[int64][]*fattorino.Event
	Lanes         map[int64]lane
	Backlogs      []fattorino.Backlog
	Tallies       []fattorino.Tally
	Pulses        []fattorino.Pulse
	Attempts      map[int64][]*fattorino.Attempt
}

// A lane is what a subscription has to do, and has done.
type lane struct {
	Log, Fresh, Due, Waiting []*fattorino.Delivery
	WaitedFor                []int64
	Unsettled                fattorino.Unsettled
}

func (f *folder) read(s fattorino.Store) (all everything) {
	f.Helper()
	const most = 1000
	var errs [12]error
	all.Apps, errs[0] = s.Apps(ctx, 0, most)
	all.Tokens, errs[1] = s.Tokens(ctx, 0, most)
	all.Keys, errs[2] = s.Keys(ctx, "fic")
	all.Types, errs[3] = s.OwnTypes(ctx)
	all.Groups, errs[4] = s.OwnGroups(ctx)
	all.Companies, errs[5] = s.Companies(ctx, 0, most)
	all.Subscriptions, errs[6] = s.KeptSubscriptions(ctx, 0, most)
	errs[7] = s.LiveSubscriptions(ctx, func(sub *fattorino.Subscription) { all.Live = append(all.Live, sub.ID) })
	slices.Sort(all.Live)
	all.Documents, errs[8] = s.Documents(ctx, "audit", 0, "", most)
	all.Backlogs, errs[9] = s.Backlogs(ctx)
	slices.SortFunc(all.Backlogs, func(a, b fattorino.Backlog) int { return int(a.Subscription - b.Subscription) })
	for _, err := range errs {
		f.must(err)
	}
	all.Events, all.Lanes, all.Attempts = map[int64][]*fattorino.Event{}, map[int64]lane{}, map[int64][]*fattorino.Attempt{}
	for company := int64(1); company <= companies; company++ {
		f.readCompany(s, company, &all)
	}
	f.rank(&all)
	return all
}

func (f *folder) readCompany(s fattorino.Store, company int64, all *everything) {
	f.Helper()
	const most = 1000
	bins, err := s.Documents(ctx, "bin", company, "", most)
	f.must(err)
	all.Documents = append(all.Documents, bins...)
	all.Events[company], err = s.Events(ctx, fattorino.EventQuery{Company: company, Limit: most})
	f.must(err)
	ids, err := s.SubscriptionIDs(ctx, company, 0)
	f.must(err)
	tallies, err := s.EachTally(ctx, ids, start.AddDate(0, 0, -1), time.Now(), time.Minute)
	f.must(err)
	pulses, err := s.Pulses(ctx, ids)
	f.must(err)
	slices.SortFunc(pulses, func(a, b fattorino.Pulse) int { return int(a.Subscription - b.Subscription) })
	all.Tallies, all.Pulses = append(all.Tallies, tallies...), append(all.Pulses, pulses...)
	for _, id := range ids {
		var l lane
		var errs [6]error
		l.Log, errs[0] = s.Deliveries(ctx, fattorino.DeliveryQuery{Subscriptions: []int64{id}, Limit: most})
		l.Fresh, errs[1] = s.Fresh(ctx, id, 0, most)
		l.Due, errs[2] = s.Due(ctx, id, most)
		l.Waiting, errs[3] = s.Waiting(ctx, id, 0, most)
		l.WaitedFor, errs[4] = s.WaitedFor(ctx, id, most)
		slices.Sort(l.WaitedFor)
		l.Unsettled, errs[5] = s.Unsettled(ctx, id, most)
		for _, err := range errs {
			f.must(err)
		}
		all.Lanes[id] = l
		for _, d := range l.Log {
			all.Attempts[d.ID], err = s.Attempts(ctx, d.ID)
			f.must(err)
		}
	}
}

// rank puts, in the place of each id, how many of its lane's come before, and
// whose it is.
func (f *folder) rank(all *everything) {
	f.Helper()
	rank := map[int64]int64{}
	for _, id := range slices.Sorted(maps.Keys(all.Lanes)) {
		log := slices.Clone(all.Lanes[id].Log)
		slices.SortFunc(log, func(a, b *fattorino.Delivery) int { return int(a.ID - b.ID) })
		for i, d := range log {
			rank[d.ID] = id*1000 + int64(i+1)
		}
	}
	for _, events := range all.Events {
		last := int64(0)
		for _, e := range events {
			if e.Key <= last {
				f.Errorf("event %s has the key %d, and the one before %d", e.ID, e.Key, last)
			}
			last, e.Key = e.Key, 0
		}
	}
	ranked := func(list []*fattorino.Delivery) {
		for i, d := range list {
			copied, event := *d, *d.Event
			copied.ID, copied.Event, event.Key = rank[d.ID], &event, 0
			list[i] = &copied
		}
	}
	for _, l := range all.Lanes {
		ranked(l.Log)
		ranked(l.Fresh)
		ranked(l.Due)
		ranked(l.Waiting)
	}
	for i := range all.Backlogs {
		b := &all.Backlogs[i]
		b.Last = rank[b.Last]
		if b.Settled != 0 && rank[b.Settled] == 0 {
			f.Errorf("subscription %d has settled up to %d, which is not there", b.Subscription, b.Settled)
		}
		b.Settled = rank[b.Settled]
	}
	attempts := map[int64][]*fattorino.Attempt{}
	for id, list := range all.Attempts {
		for _, a := range list {
			a.Delivery, a.BatchOf = rank[a.Delivery], rank[a.BatchOf]
		}
		attempts[rank[id]] = list
	}
	all.Attempts = attempts
}

// goesOn checks that what comes after the move goes on from what was before.
func (f *folder) goesOn(s fattorino.Store) {
	f.Helper()
	last := f.published[len(f.published)-1]
	target := last.Targets[0][0]
	before, err := s.Deliveries(ctx, fattorino.DeliveryQuery{Subscriptions: []int64{target}, Limit: 1})
	f.must(err)
	again, next := *last.Events[0], *last.Events[0]
	again.Key, again.Seq, next.ID = 0, 0, "new"
	p := &fattorino.Publish{Events: []*fattorino.Event{&again, fresh(&next)}, Targets: [][]int64{{target}, {target}}}
	f.must(s.Commit(ctx, &fattorino.Batch{Now: time.Now(), Publishes: []*fattorino.Publish{p}}))
	if !p.Repeated[0] || again.Seq != last.Events[0].Seq {
		f.Errorf("an event that was published before the move has seq %d, repeated %v; want %d, true", again.Seq, p.Repeated[0], last.Events[0].Seq)
	}
	if p.Events[1].Seq != last.Events[0].Seq+1 || p.First[1] <= before[0].ID {
		f.Errorf("the next event has seq %d and the delivery %d; want %d and one above %d", p.Events[1].Seq, p.First[1], last.Events[0].Seq+1, before[0].ID)
	}
	if err := s.Update(ctx, func(tx fattorino.Tx) error { return f.makeNew(tx) }); err != nil {
		f.Error(err)
	}
}

// fresh is an event as one that nobody has looked at yet.
func fresh(e *fattorino.Event) *fattorino.Event {
	return &fattorino.Event{ID: e.ID, Source: e.Source, Type: e.Type, Company: e.Company, Form: e.Form, Data: e.Data}
}

// makeNew makes one more of what has a number, and checks that it is a new one.
func (f *folder) makeNew(tx fattorino.Tx) error {
	a, k := &fattorino.App{CreatedAt: start}, &fattorino.Token{Kind: fattorino.AdminToken, Hash: []byte("new"), CreatedAt: start}
	s := &fattorino.Subscription{Company: 2, App: 1, State: fattorino.Active, CreatedAt: start, UpdatedAt: start}
	for _, err := range []error{tx.PutApp(a), tx.PutToken(k), tx.PutSubscription(s)} {
		if err != nil {
			return err
		}
	}
	if a.ID != 6 || k.ID != 6 || s.ID <= f.subscriptions[len(f.subscriptions)-1].ID {
		return fmt.Errorf("new are app %d, token %d and subscription %d: want 6, 6 and one above %d", a.ID, k.ID, s.ID, f.subscriptions[len(f.subscriptions)-1].ID)
	}
	if kept, err := tx.Subscription(s.ID); err != nil || kept.Company != 2 {
		return fmt.Errorf("the new subscription %d is %+v, %w", s.ID, kept, err)
	}
	quota := &fattorino.Counter{Name: "quota", Window: start}
	if err := tx.Count(quota); err != nil || quota.Count != 6 {
		return fmt.Errorf("the counter gives %d, %w; want 6", quota.Count, err)
	}
	return nil
}

package move_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// start is the time of the first event: long enough ago that there are several
// days, with no more precision than stores keep.
var start = time.Now().AddDate(0, 0, -3).UTC().Truncate(time.Microsecond) //nolint:gochecknoglobals // it never changes

// A folder is a data folder in which there is something of everything.
type folder struct {
	*testing.T
	*sqlite.Store
	dir           string
	subscriptions []*fattorino.Subscription
	published     []*fattorino.Publish
	known         map[int64]*fattorino.Delivery // as they stand
}

const (
	companies = 3
	events    = 60
	span      = 3*24*time.Hour - time.Minute // from the first to the last
)

func newFolder(t *testing.T) *folder {
	t.Helper()
	dir := t.TempDir()
	f := &folder{T: t, Store: openFolder(t, dir), dir: dir, known: map[int64]*fattorino.Delivery{}}
	t.Cleanup(func() { _ = f.Close() }) // it may be closed
	f.people()
	f.subscribe()
	f.publish()
	f.attempt()
	f.prune()
	return f
}

func (f *folder) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *folder) update(all ...func(fattorino.Tx) error) {
	f.Helper()
	for _, do := range all {
		f.must(f.Update(ctx, do))
	}
}

func (f *folder) commit(at time.Time, b *fattorino.Batch) {
	f.Helper()
	b.Now = at
	f.must(f.Commit(ctx, b))
}

// people are those who have tokens, and what the operator and the doors keep.
func (f *folder) people() {
	for i := range 5 {
		f.update(
			func(tx fattorino.Tx) error {
				return tx.PutApp(&fattorino.App{Name: fmt.Sprint("app ", i), CreatedAt: start})
			},
			func(tx fattorino.Tx) error {
				return tx.PutToken(&fattorino.Token{
					Kind: fattorino.APIToken, App: int64(i), Companies: []int64{1, int64(i)}, Scopes: []string{"*"}, Hash: fmt.Append(nil, "hash", i),
					Hint: "abcd", CreatedAt: start, ExpiresAt: start.AddDate(1, 0, i),
				})
			},
			func(tx fattorino.Tx) error {
				return tx.PutDocument(&fattorino.Document{Kind: "audit", ID: fmt.Sprint("é ", i, `"`), DueAt: start, Body: []byte{0, 255, byte(i)}})
			},
			func(tx fattorino.Tx) error {
				return tx.PutDocument(&fattorino.Document{Kind: "bin", Company: int64(i), ID: "x", Body: []byte{}})
			},
			func(tx fattorino.Tx) error { return tx.Count(&fattorino.Counter{Name: "quota", Window: start}) },
		)
	}
	f.update(
		func(tx fattorino.Tx) error {
			return tx.PutOwnType(&fattorino.OwnType{Name: "acme.paid", Description: "È pagato", Schema: []byte(`{"a": 1.50}`), CreatedAt: start, UpdatedAt: start})
		},
		func(tx fattorino.Tx) error {
			return tx.PutOwnGroup(fattorino.Group{Name: "all", Types: []string{"b", "a"}})
		},
		func(tx fattorino.Tx) error {
			return tx.PutKey(&fattorino.Key{Name: "fic", KID: "old", Sealed: []byte{1, 0}, CreatedAt: start})
		},
		func(tx fattorino.Tx) error {
			return tx.PutKey(&fattorino.Key{Name: "fic", KID: "new", Sealed: []byte{2, 0}, CreatedAt: start.Add(time.Hour)})
		},
		func(tx fattorino.Tx) error { return tx.RetireKeys("fic", "new", start.Add(time.Hour)) },
	)
}

// subscribe makes subscriptions in every state, after so many that are gone that
// the ids of the others tell nothing of their parts.
func (f *folder) subscribe() {
	f.update(func(tx fattorino.Tx) error {
		for range 200 {
			s := &fattorino.Subscription{Company: 9, State: fattorino.Deleted, CreatedAt: start, UpdatedAt: start}
			if err := tx.PutSubscription(s); err != nil {
				return err
			}
		}
		return nil
	})
	states := []fattorino.State{fattorino.Active, fattorino.Active, fattorino.Active, fattorino.Disabled, fattorino.GoneByAnswer, fattorino.Unverified, fattorino.Deleted}
	for i := range 14 {
		s := &fattorino.Subscription{
			Company: int64(1 + i%companies), App: 1, Contract: "native", Sink: "https://sink.example/?token=a%20b&x", Types: []string{"t", "u"},
			Format: fattorino.Structured, State: fattorino.Active, Filters: []byte(`[{"exact":{"type":"t"}}]`), CreatedAt: start, UpdatedAt: start.Add(time.Minute),
			Options: fattorino.Options{Name: fmt.Sprint("n", i), Ordering: fattorino.ByEntity, Headers: []byte{0, 1}}, Secrets: []fattorino.Secret{{Sealed: []byte("sealed")}},
			Handshake: fattorino.HandshakeState{Round: 3, Rate: 60}, ExpiresAt: start.AddDate(1, 0, 0),
		}
		f.update(
			func(tx fattorino.Tx) error { return tx.EnsureCompany(s.Company, start) },
			func(tx fattorino.Tx) error { return tx.PutSubscription(s) },
		)
		s.State = states[i%len(states)]
		f.update(func(tx fattorino.Tx) error { return tx.PutSubscription(s) })
		f.subscriptions = append(f.subscriptions, s)
	}
	f.update(func(tx fattorino.Tx) error { return tx.NameCompany(1, "Rossi & Figli") })
}

// of gives the subscriptions of a company that are not gone.
func (f *folder) of(company int64) (ids []int64) {
	for _, s := range f.subscriptions {
		if s.Company == company && s.State != fattorino.Deleted {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// publish publishes events of every form, on four days.
func (f *folder) publish() {
	for i := range events {
		company := int64(1 + i%companies)
		e := &fattorino.Event{
			ID: fmt.Sprint("e", i), Source: "/erp", Type: "t", Common: "invoice.paid", Company: company, Subject: "s", DataContentType: "application/json",
			Form: fattorino.JSONData, Data: fmt.Appendf(nil, `{"id":%d,"note":%q}`, i, strings.Repeat("x", i)), Entity: fattorino.Entity{Type: "invoice", IDs: []string{fmt.Sprint(i % 4)}},
			Time: start.In(time.FixedZone("", 2*3600)), Extensions: map[string]any{"n": int32(i), "x": []byte{0, 255}},
		}
		switch i % 10 {
		case 0:
			e.Form, e.Data, e.Extensions = fattorino.NoData, nil, nil
		case 1:
			e.Form, e.Data, e.Time = fattorino.BinaryData, []byte{0, 255, 10}, time.Time{}
		case 2:
			e.Entity.IDs = []string{"1", "2", "3"}
		}
		targets := f.of(company)
		p := &fattorino.Publish{Events: []*fattorino.Event{e}, Targets: [][]int64{targets[:i%len(targets)]}}
		f.commit(start.Add(time.Duration(i)*span/(events-1)), &fattorino.Batch{Publishes: []*fattorino.Publish{p}})
		f.published = append(f.published, p)
		for j, id := range p.Targets[0] {
			f.known[p.First[0]+int64(j)] = &fattorino.Delivery{ID: p.First[0] + int64(j), Subscription: id, Event: e}
		}
		if i%7 == 0 {
			private := &fattorino.Event{ID: fmt.Sprint("welcome", i), Source: "/us", Type: "welcome", Company: company, Accepted: e.Accepted}
			f.update(func(tx fattorino.Tx) error { _, err := tx.PutPrivate(private, targets[0]); return err })
		}
	}
}

// attempt has deliveries end up in every state, some after several attempts and
// some in batches.
func (f *folder) attempt() {
	for i, p := range f.published {
		first := int64(0) // of the batch
		for j := range p.Targets[0] {
			d := f.known[p.First[0]+int64(j)]
			at := p.Events[0].Accepted.Add(time.Second)
			switch (i + j) % 6 {
			case 0:
				d.State, d.SettledAt, d.Status = fattorino.Delivered, at, 204
				f.record(d, at, 0)
			case 1:
				d.DueAt, d.FirstErrorAt, d.Status = time.Now().Add(time.Duration(100-i)*time.Hour).Truncate(time.Microsecond), at, 500
				f.record(d, at, 0)
				f.record(d, at.Add(time.Minute), first)
			case 2:
				d.State, d.Reason, d.SettledAt = fattorino.Discarded, fattorino.Exhausted, at
				for range 3 {
					f.record(d, at, 0)
				}
			case 3:
				d.State, d.WaitsFor = fattorino.Waiting, int64(7+i%2)
				f.must(f.Commit(ctx, &fattorino.Batch{Now: at, Outcomes: []fattorino.Outcome{{Delivery: d}}}))
			case 4:
				d.State, d.SettledAt, d.Status = fattorino.Delivered, at, 200
				f.record(d, at, first)
			} // and 5 was never tried
			if first == 0 && d.Attempts > 0 {
				first = d.ID
			}
		}
	}
	f.count()
}

// record records an attempt of a delivery as it stands.
func (f *folder) record(d *fattorino.Delivery, at time.Time, batchOf int64) {
	d.Attempts++
	d.Tries++
	a := &fattorino.Attempt{
		Delivery: d.ID, Number: d.Attempts, StartedAt: at, BatchOf: batchOf,
		Request: fattorino.Request{Method: "POST", URL: "https://sink.example/", Header: []fattorino.Header{{Name: "A", Value: "b: c"}}, Body: slices.Concat([]byte("{\x00}"), d.Event.Data, []byte("."))},
		Answer: fattorino.Answer{
			Status: d.Status, Header: []fattorino.Header{{Name: "Server", Value: "x\xff"}}, Body: []byte{}, Truncated: true,
			Timing: fattorino.Timing{DNS: time.Millisecond, Total: time.Second},
		},
	}
	if batchOf != 0 {
		a.Request.Body = nil
	}
	if d.Status == 0 {
		a.Answer.Failure, a.Answer.Detail = fattorino.FailedConnect, "nobody is there"
	}
	f.commit(at, &fattorino.Batch{Outcomes: []fattorino.Outcome{{Delivery: d, Attempt: a}}})
}

// count notes how far lanes have come, and what was counted.
func (f *folder) count() {
	minute := start.Truncate(time.Minute)
	b := &fattorino.Batch{}
	for i, s := range f.subscriptions {
		b.Tallies = append(b.Tallies, fattorino.Tally{Company: s.Company, Subscription: s.ID, At: minute.Add(time.Duration(i) * time.Minute), Counts: fattorino.Counts{
			Delivered: int64(i), Failed: 2, Latency: fattorino.Latency{1, 2, 3},
		}})
		b.Pulses = append(b.Pulses, fattorino.Pulse{Subscription: s.ID, SucceededAt: start, InARow: int64(i)})
	}
	for _, p := range f.published[:20] {
		for j, id := range p.Targets[0] {
			b.Settled = append(b.Settled, fattorino.Settled{Subscription: id, Delivery: p.First[0] + int64(j)})
		}
	}
	f.commit(start.Add(time.Hour), b)
	for range 3 {
		f.update(func(tx fattorino.Tx) error { _, err := tx.RollTallies(minute.Add(3 * time.Minute)); return err })
	}
}

// prune deletes the oldest events, as retention does.
func (f *folder) prune() {
	for after := int64(0); ; {
		f.update(func(tx fattorino.Tx) (err error) {
			after, _, err = tx.Prune(f.published[9].Events[0].Accepted, after, 100)
			return err
		})
		if after == 0 {
			return
		}
	}
}

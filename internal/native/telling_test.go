package native_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Given subscriptions that hear of an event in the same way and in others, when
// they are told of it at the same time, then each is told what it would be if
// there were no other.
func TestNotification_IsTheSameBesideOthers(t *testing.T) {
	t.Parallel()
	f, event := newFixture(t), invoicePaid()
	event.Type = "issued_documents.e_invoices.status_update" // another contract's, with a common name
	var all []*fattorino.Subscription
	for _, format := range []fattorino.Format{fattorino.Binary, fattorino.Structured, fattorino.Standard} {
		for _, thin := range []bool{false, true} {
			for _, typ := range []string{event.Type, "*"} {
				s := subscription()
				s.ID, s.Format, s.Options.Thin, s.Types = int64(len(all)+1), format, thin, []string{typ}
				all = append(all, s)
			}
		}
	}
	var wait sync.WaitGroup
	for range 3 {
		for _, s := range all {
			wait.Go(func() {
				got := f.notification(t, s, event, now)
				alone := newFixture(t).notification(t, s, event, now)
				if fmt.Sprint(got.Header) != fmt.Sprint(alone.Header) || string(got.Body) != string(alone.Body) {
					t.Errorf("%s, thin %v, %s:\n%v\n%s\nalone:\n%v\n%s", s.Format, s.Options.Thin, s.Types,
						got.Header, got.Body, alone.Header, alone.Body)
				}
			})
		}
	}
	wait.Wait()
}

// Given an event that is just like another but for one thing, when both are
// told, then each is told as it is.
func TestNotification_OfEventsThatAreAlmostTheSame(t *testing.T) {
	t.Parallel()
	f, s := newFixture(t), subscription()
	first, second := invoicePaid(), invoicePaid()
	second.Data = []byte(`{"other":true}`)
	for _, e := range []*fattorino.Event{first, second, first} {
		equal(t, string(decoded(t, f.notification(t, s, e, now)).Data), string(e.Data))
	}
}

// Given an event that many hear of, when they are told, then what it says of it
// is made once; where the data is long it is not kept.
func TestNotification_IsMadeOnceForMany(t *testing.T) {
	t.Parallel()
	f, event := newFixture(t), invoicePaid()
	long := invoicePaid()
	long.Data = []byte(`"` + string(make([]byte, 5<<10)) + `"`)
	for _, row := range []struct {
		event  *fattorino.Event
		shared bool
	}{{event, true}, {long, false}} {
		var bodies [2][]byte
		var ids [2]string
		for i := range bodies {
			s := subscription()
			s.ID, s.Format = int64(i+1), fattorino.Structured
			r := f.notification(t, s, row.event, now.Add(time.Duration(i)*time.Second))
			bodies[i], ids[i] = r.Body, value(r.Header, "webhook-id")
		}
		equal(t, string(bodies[0]), string(bodies[1]))
		equal(t, &bodies[0][0] == &bodies[1][0], row.shared)
		equal(t, ids[0] == ids[1], false)
	}
}

package crash_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Of deletions some are taken back and some are not, while the nodes that serve
// the subscriptions come and go.
func TestADeletionOutlivesTheNodesThatServeTheSubscription(t *testing.T) {
	t.Parallel()
	const undoFor, each = 12 * time.Second, 6
	hasty := buildChanged(t, "internal/fattorino/restore.go", "const UndoFor = 10 * time.Minute", "const UndoFor = 12 * time.Second")
	c := newNodes(t)
	c.beginAs(hasty, "a")
	c.beginAs(hasty, "b")
	c.awaitParts(32, "a", "b")
	sink := newMoody(t)
	// Given subscriptions in the parts of both of two nodes, half of which keep an
	// order, whose sinks refuse everything,
	token := c.program("a").token(t)
	at := map[int]string{}
	for company := 1; company <= companies; company++ {
		var made struct{ ID int64 }
		path := fmt.Sprintf("/v1/companies/%d/subscriptions", company)
		wish := map[string]any{
			"sink": fmt.Sprintf("%s/%d", sink.URL, company), "types": []string{"*"}, "handshake": "none",
			"ordering": []string{"none", "strict"}[company%2], "schedule": slices.Repeat([]int{1}, 20),
		}
		if err := c.program("a").call("POST", path, token, wish, &made); err != nil {
			t.Fatal(err)
		}
		at[company] = fmt.Sprintf("%s/%d", path, made.ID)
		for range each {
			e := event{number: int(c.next.Add(1)), company: company, typ: invoices}
			if _, err := (&publisher{program: c.program("b")}).post(&e); err != nil {
				t.Fatal(err)
			}
		}
		if !eventually(func() bool { return len(sink.came(company)) > 0 }) {
			t.Fatalf("the sink of company %d is not called", company)
		}
	}
	// when they are deleted,
	for company := range maps.Keys(at) {
		if err := c.program("a").call("DELETE", at[company], token, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	deleted := time.Now()
	// and the node of some of them is killed,
	c.leave("a")
	c.program("a").kill()
	c.awaitParts(64, "b")
	took := time.Since(deleted)
	sink.well.Store(true)
	sink.forget()
	// then nothing is sent and nothing is discarded while that can be undone;
	pause(time.Until(deleted.Add(undoFor*2/3 - time.Second)))
	for company := range maps.Keys(at) {
		if came := sink.came(company); len(came) > 0 {
			t.Errorf("company %d: %v were sent", company, came)
		}
		if states := c.statesOf(company, "b", token); states["discarded"] > 0 || states["pending"]+states["waiting"] != each {
			t.Errorf("company %d: %v, want %d pending or waiting", company, states, each)
		}
	}
	if took > undoFor/2 {
		t.Skipf("the parts were taken over after %v: too late to undo anything", took)
	}
	// those that come back go on in their order,
	for company := 1; company <= companies; company += 3 {
		if err := c.program("b").call("POST", at[company]+"/restore", token, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	c.beginAs(hasty, "d")
	c.awaitParts(32, "b", "d")
	for company := 1; company <= companies; company++ {
		want := map[string]int{"discarded": each}
		if company%3 == 1 {
			want = map[string]int{"delivered": each}
		}
		// and the others are discarded when it is too late.
		var states map[string]int
		if !eventually(func() bool { states = c.statesOf(company, "b", token); return maps.Equal(states, want) }) {
			t.Errorf("company %d: %v, want %v", company, states, want)
		}
		came := sink.came(company)
		if inOrder := slices.IsSorted(came) || company%2 == 0; !inOrder || len(came) != want["delivered"] {
			t.Errorf("company %d: %v came, want %d, in their order: %t", company, came, want["delivered"], company%2 == 1)
		}
	}
}

// statesOf counts the deliveries of a company by their states.
func (c *nodes) statesOf(company int, name, token string) map[string]int {
	c.Helper()
	var page struct {
		Deliveries []struct{ State string }
	}
	if err := c.program(name).call("GET", fmt.Sprintf("/v1/companies/%d/deliveries?limit=100", company), token, nil, &page); err != nil {
		c.Fatal(err)
	}
	states := map[string]int{}
	for _, d := range page.Deliveries {
		states[d.State]++
	}
	return states
}

// A moody server is the sinks of companies, by their paths: it refuses everything
// until it is well.
type moody struct {
	*httptest.Server
	well atomic.Bool

	mu  sync.Mutex
	got map[string][]int // numbers of events, as they came
}

func newMoody(t *testing.T) *moody {
	m := &moody{got: map[string][]int{}}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, ok := notified(w, r)
		if !ok {
			return
		}
		m.mu.Lock()
		m.got[r.URL.Path] = append(m.got[r.URL.Path], n.number)
		m.mu.Unlock()
		if !m.well.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(m.Close)
	return m
}

// came gives the numbers of the events that came for a company.
func (m *moody) came(company int) []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got[fmt.Sprintf("/%d", company)])
}

// forget forgets what came.
func (m *moody) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.got)
}

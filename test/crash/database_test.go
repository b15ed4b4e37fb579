package crash_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

// What may happen to a database, and to the way to it, while the program works.
// Each time the same process goes on by itself, nothing that was accepted is
// lost, and nothing is sent twice.

func TestNothingIsLostWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, pgcluster.Options{Durable: true}) // for it is killed
	c := newCrashTest(t, "--database", cluster.URL("postgres"))
	c.program.start(t)
	c.subscribeAll()
	endLoad := c.beginLoad()
	for i, end := range []func() error{cluster.Stop, cluster.Kill} {
		c.awaitAccepted(100)
		// Given an attempt that is under way,
		slow := newHeldSink(t)
		company := 4 + i
		subscribe(t, c.program, slow.sink, company, map[string]any{"types": []string{customers}})
		e := event{number: int(c.pub.next.Add(1)), company: company, typ: customers}
		if !c.pub.publishFor(&e, nil) {
			t.Fatal("it was not accepted")
		}
		<-slow.arrived
		// when the database goes away,
		if err := end(); err != nil {
			t.Fatal(err)
		}
		// then nothing is accepted, and publishers are told when to try again,
		c.wantUnavailable()
		slow.release()
		pause(time.Duration(i) * 5 * time.Second) // the second time for longer than the lease lasts
		// and when it is back the attempt is recorded, and not made again.
		if err := cluster.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.awaitAccepted(100)
		c.wantDelivered(slow.sink, e)
	}
	endLoad()
	c.checkEverything(400)
}

// awaitAccepted waits until the program has accepted so many events more.
func (c *crashTest) awaitAccepted(events int) {
	c.Helper()
	before := len(c.pub.accepted())
	if !eventually(func() bool { return len(c.pub.accepted()) >= before+events }) {
		c.Fatalf("it accepts nothing more:\n%s", c.program.log.String())
	}
}

// wantUnavailable publishes what nobody hears.
func (c *crashTest) wantUnavailable() {
	c.Helper()
	answer, err := c.pub.post(&event{number: int(c.pub.next.Add(1)), company: 9, typ: customers})
	if err != nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		c.Errorf("publish: %v, %v; want 503 with Retry-After", answer, err)
	}
}

// wantDelivered checks that an event has reached a subscriber of its company by
// one attempt, which is in the log.
func (c *crashTest) wantDelivered(s *sink, e event) {
	c.Helper()
	var page struct {
		Deliveries []struct {
			State    string
			Attempts int
			Event    struct{ ID string }
		}
	}
	done := eventually(func() bool {
		err := c.program.call("GET", fmt.Sprintf("/v1/companies/%d/deliveries", e.company), admin, nil, &page)
		return err == nil && len(page.Deliveries) > 0 && page.Deliveries[0].State == "delivered"
	})
	if d := page.Deliveries; !done || d[0].Attempts != 1 || len(s.all()) != 1 {
		c.Errorf("%s: %+v, received %d times; want it delivered by one attempt", e.id(), d, len(s.all()))
	}
}

// A heldSink answers once it is released.
type heldSink struct {
	*sink
	arrived chan struct{}
	release func()
}

func newHeldSink(t *testing.T) *heldSink {
	released := make(chan struct{})
	h := &heldSink{sink: newSink(t, "held", func() int { return 0 }), arrived: make(chan struct{}, 10)}
	h.slow = true // it fails nothing: each of its events is to be delivered by one attempt
	h.release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(h.release) // before it is closed, which waits for answers
	receive := h.Config.Handler
	h.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.arrived <- struct{}{}
		<-released
		receive.ServeHTTP(w, r)
	})
	return h
}

func TestNothingIsLostWhenConnectionsToTheDatabaseBreak(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, pgcluster.Options{})
	way, err := cluster.NewProxy()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = way.Close() })
	c := newCrashTest(t, "--database", way.URL("postgres"))
	c.program.start(t)
	c.subscribeAll()
	endLoad := c.beginLoad()
	const wanted = 20
	cuts := 0
	often := eventually(func() bool {
		way.Arm(pgcluster.Direction(c.random.IntN(2)), c.random.IntN(20_000))
		pause(c.upTo(100 * time.Millisecond))
		if way.Disarm() {
			cuts++
		}
		return cuts == wanted
	})
	if !often {
		t.Errorf("only %d times were connections cut", cuts)
	}
	c.awaitAccepted(100)
	endLoad()
	c.checkEverything(100)
}

func TestNothingIsLostWhenPgBouncerIsRestarted(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, pgcluster.Options{})
	bouncer, err := cluster.NewBouncer(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closing(t, bouncer.Close) })
	c := newCrashTest(t, "--database", bouncer.URL("postgres"))
	c.program.start(t)
	c.subscribeAll()
	endLoad := c.beginLoad()
	for range 3 {
		c.awaitAccepted(100)
		if err := errors.Join(bouncer.Kill(), bouncer.Start(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	c.awaitAccepted(100)
	endLoad()
	c.checkEverything(400)
}

func TestNothingIsLostWhenTheStandbyTakesThePlaceOfThePrimary(t *testing.T) {
	t.Parallel()
	// Given a primary whose commits wait for a standby, and a program that knows
	// both,
	primary, standby, both := newPrimaryAndStandby(t)
	c := newCrashTest(t, "--database", both)
	c.program.start(t)
	c.subscribeAll()
	endLoad := c.beginLoad()
	c.awaitAccepted(300)
	// when the primary dies under load, and the standby is promoted,
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	// then the program goes on with the standby.
	c.awaitAccepted(300)
	endLoad()
	c.checkEverything(600)
}

// newPrimaryAndStandby gives two servers, the first of which waits for the second
// at each commit, and the URL of the one that can be written to.
func newPrimaryAndStandby(t *testing.T) (primary, standby *pgcluster.Cluster, both string) {
	t.Helper()
	primary = newCluster(t, pgcluster.Options{Durable: true, TCP: true})
	standby, err := primary.NewStandby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closing(t, standby.Close) })
	if err := primary.Exec(t.Context(), `ALTER SYSTEM SET synchronous_standby_names = '*'`, `SELECT pg_reload_conf()`); err != nil {
		t.Fatal(err)
	}
	both = fmt.Sprintf("postgres://postgres@%s,%s/postgres?sslmode=disable&target_session_attrs=read-write", primary.Address(), standby.Address())
	return primary, standby, both
}

func newCluster(t *testing.T, o pgcluster.Options) *pgcluster.Cluster {
	t.Helper()
	cluster, err := pgcluster.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closing(t, cluster.Close) })
	return cluster
}

// closing closes what a test needed.
func closing(t *testing.T, end func() error) {
	if err := end(); err != nil {
		t.Error(err)
	}
}

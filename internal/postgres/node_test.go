package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/postgres"
	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

// A book notes who serves what. Nobody may serve what another does.
type book struct {
	t  *testing.T
	mu sync.Mutex
	of map[int]string // by part
}

// A server is what a node serves its parts with here: it writes into the book.
type server struct {
	*book
	name  string
	heard chan []fattorino.Standing
}

func (s *server) Own(_ context.Context, l fattorino.Lease) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.of[l.Part]; other != "" {
		s.t.Errorf("%s takes part %d, which %s serves", s.name, l.Part, other)
	}
	s.of[l.Part] = s.name
	return nil
}

func (s *server) HandOver(_ context.Context, part int) error {
	s.Disown(part)
	return nil
}

func (s *server) Disown(part int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[part] == s.name {
		delete(s.of, part)
	}
}

func (s *server) Heard(moved []fattorino.Standing) {
	select {
	case s.heard <- moved:
	default:
	}
}

// shares gives how many parts each serves.
func (b *book) shares() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := map[string]int{}
	for _, name := range b.of {
		n[name]++
	}
	return n
}

// await waits until the parts are shared so.
func (b *book) await(want map[string]int) {
	b.t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(time.Minute)
	for !maps.Equal(b.shares(), want) {
		select {
		case <-again.C:
		case <-deadline:
			b.t.Fatalf("shares = %v, want %v", b.shares(), want)
		}
	}
}

func join(t *testing.T, s *postgres.Store, url, name string) *postgres.Node {
	t.Helper()
	n, err := postgres.Join(t.Context(), postgres.Options{URL: url}, s, name, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func closeNode(t *testing.T, n *postgres.Node) {
	t.Helper()
	if err := n.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// started joins a node that serves into the book.
func (b *book) started(s *postgres.Store, url, name string) (*postgres.Node, *server) {
	b.t.Helper()
	n := join(b.t, s, url, name)
	v := &server{b, name, make(chan []fattorino.Standing, 1)}
	n.Start(b.t.Context(), v, func() {})
	return n, v
}

func TestPartsAreSharedEvenlyAsNodesComeAndGo(t *testing.T) {
	t.Parallel()
	for _, parameters := range []string{"", "&default_query_exec_mode=exec"} {
		url := database(t) + parameters
		s := open(t, url)
		defer s.Close() //nolint:errcheck // the test is over
		b := &book{t: t, of: map[int]string{}}

		// The first node serves everything; each that comes gets its share,
		a, _ := b.started(s, url, "a")
		b.await(map[string]int{"a": 64})
		c, served := b.started(s, url, "b")
		b.await(map[string]int{"a": 32, "b": 32})
		d, _ := b.started(s, url, "c")
		b.await(map[string]int{"a": 22, "b": 21, "c": 21})
		members, err := a.Members(ctx)
		if err != nil || len(members) != 3 || !members[0].This || members[1].This || len(members[2].Parts) != 21 {
			t.Errorf("members = %+v, %v", members, err)
		}
		// and what one that leaves had goes to the others.
		if err := a.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		b.await(map[string]int{"b": 32, "c": 32})
		closeNode(t, a)
		// One that ends without that serves nothing any more either.
		for part := range 64 {
			served.Disown(part)
		}
		closeNode(t, c)
		b.await(map[string]int{"c": 64})
		closeNode(t, d)
	}
}

func TestANodeThatWasStruckOffBeginsAnew(t *testing.T) {
	t.Parallel()
	url := database(t)
	s := open(t, url)
	defer s.Close() //nolint:errcheck // the test is over
	b := &book{t: t, of: map[int]string{}}
	n, _ := b.started(s, url, "a")
	defer closeNode(t, n)
	b.await(map[string]int{"a": 64})
	epoch := func() (newest int64) {
		members, err := n.Members(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range members {
			newest = m.Epoch
		}
		return newest
	}
	before := epoch()
	if _, err := s.Pool().Exec(ctx, `WITH gone AS (DELETE FROM nodes) UPDATE leases SET node = NULL`); err != nil {
		t.Fatal(err)
	}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for epoch() <= before { // until it knows, and has joined anew
		<-again.C
	}
	b.await(map[string]int{"a": 64})
}

func TestWhatANodeSaysOfPartsThatItHasLostIsRefused(t *testing.T) {
	t.Parallel()
	url := database(t)
	s := open(t, url)
	defer s.Close() //nolint:errcheck // the test is over
	subscription := subscribe(t, s, 7)
	n := join(t, s, url, "a")
	defer closeNode(t, n)
	members, err := n.Members(ctx)
	if err != nil {
		t.Fatal(err)
	}
	epoch := members[0].Epoch
	p, err := publish(s, []int64{subscription}, event(7, "a", 10), event(7, "b", 10))
	if err != nil {
		t.Fatal(err)
	}
	outcomes := delivered(&fattorino.Batch{Now: time.Now(), Publishes: []*fattorino.Publish{p}})

	// Given a node that has written what became of a delivery,
	if err := s.Commit(ctx, &fattorino.Batch{Now: time.Now(), Epoch: epoch, Outcomes: outcomes[:1]}); err != nil {
		t.Fatal(err)
	}
	// when it is struck off,
	if _, err := s.Pool().Exec(ctx, `DELETE FROM nodes`); err != nil {
		t.Fatal(err)
	}
	// then it can say no more what becomes of deliveries, nor how far they are,
	for name, b := range map[string]*fattorino.Batch{
		"outcomes": {Now: time.Now(), Epoch: epoch, Outcomes: outcomes[1:]},
		"hints":    {Now: time.Now(), Epoch: epoch, Settled: []fattorino.Settled{{Subscription: subscription, Delivery: outcomes[1].Delivery.ID}}},
	} {
		if err := s.Commit(ctx, b); !errors.Is(err, fattorino.ErrLeaseLost) {
			t.Errorf("%s: %v, want ErrLeaseLost", name, err)
		}
	}
	// but what it has attempted is kept, beside what another attempts,
	late := *outcomes[1].Attempt
	late.StartedAt = late.StartedAt.Add(-time.Second)
	b := &fattorino.Batch{Now: time.Now(), Late: []fattorino.LateAttempt{{Attempt: &late, Epoch: epoch}}}
	for range 2 { // the second time it is there already
		if err := s.Commit(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	d, err := s.Delivery(ctx, outcomes[1].Delivery.ID)
	if err != nil || d.State != fattorino.Pending || d.Attempts != 0 {
		t.Errorf("the delivery is %v after %d attempts, %v; want it pending, as the other sees it", d.State, d.Attempts, err)
	}
	if err := s.Commit(ctx, &fattorino.Batch{Now: time.Now(), Outcomes: outcomes[1:]}); err != nil {
		t.Fatal(err)
	}
	attempts, err := s.Attempts(ctx, outcomes[1].Delivery.ID)
	if err != nil || len(attempts) != 2 || !attempts[0].StartedAt.Equal(late.StartedAt.Truncate(time.Microsecond)) {
		t.Errorf("%d attempts, %v; want both, the earlier first", len(attempts), err)
	}
	// and events it takes in as any node does.
	if _, err := publish(s, nil, event(7, "c", 10)); err != nil {
		t.Error(err)
	}
}

func TestANodeIsNotStruckOffInTheMiddleOfACommit(t *testing.T) {
	t.Parallel()
	url := database(t)
	s := open(t, url)
	defer s.Close() //nolint:errcheck // the test is over
	dying := join(t, s, url, "dying")
	defer closeNode(t, dying)
	members, err := dying.Members(ctx)
	if err != nil {
		t.Fatal(err)
	}
	there := func() (is bool) {
		if err := s.Pool().QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM nodes WHERE name = 'dying')`).Scan(&is); err != nil {
			t.Fatal(err)
		}
		return is
	}
	b := &book{t: t, of: map[int]string{}}
	err = pgx.BeginFunc(ctx, s.Pool(), func(commit pgx.Tx) error {
		// Given a commit under way, of a node whose leases have run out,
		if _, err := commit.Exec(ctx, `SELECT check_node($1)`, members[0].Epoch); err != nil {
			return err
		}
		if _, err := s.Pool().Exec(ctx, `UPDATE nodes SET until = '-infinity' WHERE name = 'dying'`); err != nil {
			return err // it could not be renewed either
		}
		// then others wait for it, without being held up themselves,
		n, _ := b.started(s, url, "b")
		t.Cleanup(func() { closeNode(t, n) })
		b.await(map[string]int{"b": 64}) // which nobody had
		if !there() {
			t.Error("it was struck off")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// and when it has ended it is struck off.
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for there() {
		<-again.C
	}
}

func TestLeasesOutliveAnOutageOfTheDatabase(t *testing.T) {
	t.Parallel()
	cluster, err := pgcluster.New(t.Context(), pgcluster.Options{Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Close() })
	url := cluster.URL("postgres")
	s := open(t, url)
	defer s.Close() //nolint:errcheck // the test is over
	b := &book{t: t, of: map[int]string{}}
	n, _ := b.started(s, url, "a")
	defer closeNode(t, n)
	b.await(map[string]int{"a": 64})
	<-n.Held()

	// Given a database that went away, when the leases may have run out, then they
	// are not held;
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for isHeld(n) {
		<-look.C
	}
	again := n.Held()
	// when it is back, and nobody else came, then they are held as before.
	if err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-again
	if b.await(map[string]int{"a": 64}); n.Parts() != 64 {
		t.Errorf("it has %d parts", n.Parts())
	}
}

func isHeld(n *postgres.Node) bool {
	select {
	case <-n.Held():
		return true
	default:
		return false
	}
}

func TestABatchThatWasWorkedOutFromOldSubscriptionsIsRefused(t *testing.T) {
	t.Parallel()
	url := database(t)
	here, there := open(t, url), open(t, url)
	defer here.Close()  //nolint:errcheck // the test is over
	defer there.Close() //nolint:errcheck // likewise
	part := here.PartOf(7)
	versions := func() (all []int64) {
		standings, err := here.Standings(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range standings {
			all = append(all, at.Version)
		}
		return all
	}
	commit := func(versions []int64, id string) error {
		p := &fattorino.Publish{Events: []*fattorino.Event{event(7, id, 10)}, Targets: [][]int64{nil}}
		return here.Commit(ctx, &fattorino.Batch{Now: time.Now(), Versions: versions, Publishes: []*fattorino.Publish{p}})
	}
	// Given a node that knows the subscriptions of a company,
	known := versions()
	if err := commit(known, "a"); err != nil {
		t.Fatal(err)
	}
	// when another node makes one,
	id := subscribe(t, there, 7)
	// then an event is refused that was matched without it,
	stale, ok := errors.AsType[*fattorino.StaleError](commit(known, "b"))
	if !ok || !slices.Equal(stale.Parts, []int{part}) {
		t.Fatalf("stale = %v, want the part %d", stale, part)
	}
	// and taken when what has changed is known.
	changed, version, err := here.Changed(ctx, part, known[part])
	if err != nil || len(changed) != 1 || changed[0].ID != id || changed[0].Version != version || version != versions()[part] {
		t.Errorf("changed = %+v, version %d, %v", changed, version, err)
	}
	if err := commit(versions(), "b"); err != nil {
		t.Error(err)
	}
	if changed, _, err := here.Changed(ctx, part, version); err != nil || len(changed) != 0 {
		t.Errorf("changed since = %+v, %v", changed, err)
	}
}

func TestWhatAnotherNodeHasWrittenInBetweenIsFound(t *testing.T) {
	t.Parallel()
	url := database(t)
	here, there := open(t, url), open(t, url)
	defer here.Close()  //nolint:errcheck // the test is over
	defer there.Close() //nolint:errcheck // likewise
	part, subscription := here.PartOf(7), subscribe(t, here, 7)
	var seen int64
	write := func(s *postgres.Store, day int, id string) (first int64) {
		p := &fattorino.Publish{Events: []*fattorino.Event{event(7, id, 10)}, Targets: [][]int64{{subscription}}}
		b := &fattorino.Batch{Now: time.Now().AddDate(0, 0, day), Publishes: []*fattorino.Publish{p}}
		if err := s.Commit(ctx, b); err != nil {
			t.Fatal(err)
		}
		if s == here {
			if len(b.Spans) != 1 || b.Spans[0].Part != part || b.Spans[0].To != p.First[0] {
				t.Fatalf("spans = %+v, want one up to %d", b.Spans, p.First[0])
			}
			if b.Spans[0].From == seen {
				seen = b.Spans[0].To
			}
		}
		return p.First[0]
	}
	standings, err := here.Standings(ctx)
	if err != nil {
		t.Fatal(err)
	}
	seen = standings[part].Last
	// What a node writes one after the other is in one piece;
	write(here, 0, "a")
	if mine := write(here, 0, "b"); seen != mine {
		t.Fatalf("seen up to %d, want %d", seen, mine)
	}
	arrived := func(upTo int64) (ids []int64, last map[int64]int64) {
		t.Helper()
		deliveries, last, err := here.Arrived(ctx, []fattorino.Span{{Part: part, From: seen, To: upTo}})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range deliveries {
			if d.Subscription != subscription || d.Event.Company != 7 || len(d.Event.Data) != 10 {
				t.Errorf("delivery %d for %d of %+v", d.ID, d.Subscription, d.Event)
			}
			ids = append(ids, d.ID)
		}
		return ids, last
	}
	// what another writes in between tears it, and is found, whatever the day,
	for i, day := range []int{0, 1} {
		other := write(there, day, fmt.Sprint("other", i))
		before := seen
		mine := write(here, day, fmt.Sprint("mine", i))
		if seen != before {
			t.Fatal("a gap was not seen")
		}
		if ids, last := arrived(mine); !slices.Equal(ids, []int64{other, mine}) || len(last) > 0 {
			t.Errorf("arrived = %d up to %v; want %d and %d", ids, last, other, mine)
		}
		seen = mine
	}
	if ids, last := arrived(seen); len(ids)+len(last) > 0 {
		t.Errorf("arrived = %d up to %v; want nothing", ids, last)
	}
	// Of what is too much to be read at once, or of too many days, the end is told.
	for i := range 300 {
		write(there, 1, fmt.Sprint("one of many ", i))
	}
	for day, name := range map[int]string{1: "last of many", 9: "after a holiday"} {
		theirs := write(there, day, name)
		if ids, last := arrived(theirs); len(ids) > 0 || last[subscription] != theirs {
			t.Errorf("%s: arrived = %d up to %v; want up to %d", name, ids, last, theirs)
		}
	}
}

func TestANodeHearsOfWhatOthersWrite(t *testing.T) {
	t.Parallel()
	url := database(t)
	here, there := open(t, url), open(t, url)
	defer here.Close()  //nolint:errcheck // the test is over
	defer there.Close() //nolint:errcheck // likewise
	changed := make(chan struct{}, 1)
	n := join(t, here, url, "a")
	defer closeNode(t, n)
	v := &server{&book{t: t, of: map[int]string{}}, "a", make(chan []fattorino.Standing, 1)}
	n.Start(t.Context(), v, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	<-v.heard // how everything stands at first
	<-changed

	if _, err := publish(there, nil, event(7, "a", 10)); err != nil {
		t.Fatal(err)
	}
	if moved := <-v.heard; len(moved) != 1 || moved[0].Part != here.PartOf(7) { // without a nudge, by looking
		t.Errorf("moved = %+v, want the part of the company", moved)
	}
	err := there.Update(ctx, func(tx fattorino.Tx) error {
		return tx.PutToken(&fattorino.Token{Kind: fattorino.AdminToken, Hash: []byte("hash"), CreatedAt: time.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	there.Nudge()
	<-changed
}

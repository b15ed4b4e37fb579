package crash_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestNothingAcceptedIsLostWhenTheProgramIsKilled(t *testing.T) {
	// Given a running program, and subscribers of every contract and ordering,
	c := newCrashTest(t)
	c.program.start(t)
	c.subscribeAll()

	// when it is killed and stopped again and again while publishers publish, and
	// others come and go as subscribers,
	endLoad := c.beginLoad()
	for range *rounds {
		pause(c.upTo(700 * time.Millisecond))
		c.interrupt()
	}
	pause(300 * time.Millisecond)
	endLoad()

	// then nothing is lost.
	c.checkEverything(10 * (*rounds))
}

// beginLoad has publishers publish, and others come and go, until it is told to
// end.
func (c *crashTest) beginLoad() (end func()) {
	stopped := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() { c.pub.run(stopped) })
	}
	for range 2 {
		clients.Go(func() { c.comeAndGo(stopped) })
	}
	return func() {
		close(stopped)
		clients.Wait()
	}
}

// checkEverything checks what became of at least so many events that were
// accepted, and stops the program.
func (c *crashTest) checkEverything(least int) {
	c.Helper()
	for _, odd := range c.pub.oddities() {
		c.Errorf("a publisher was answered %s", odd)
	}
	// Every event that was accepted reaches all who hear it,
	accepted := c.pub.accepted()
	if len(accepted) < least {
		c.Fatalf("only %d events accepted: no load", len(accepted))
	}
	for _, s := range c.subscribers {
		if !dwindles(func() int { return len(s.missing(accepted, s.hears)) }) {
			missing := s.missing(accepted, s.hears)
			c.Errorf("%s: %d accepted events were never delivered: %v", s.name, len(missing), missing[:min(len(missing), 100)])
		}
		// and nobody else, again only where it was in flight, and in order.
		s.check(c.T, accepted, c.lives.graceful())
	}
	c.checkComing()
	// The history has no gap and no event twice.
	err := errors.Join(c.program.checkHistory(1, accepted), c.program.checkHistory(2, accepted), c.program.stop())
	if err != nil {
		c.Error(err)
	}
	c.report(len(accepted))
}

// crashTest is a program that is interrupted, and those who use it.
type crashTest struct {
	*testing.T
	random      *rand.Rand
	program     *program
	lives       *lives
	pub         *publisher
	subscribers []*subscriber
	guests      *sink // those who come and go

	mu        sync.Mutex
	owed      []int // numbers of events that a guest must hear
	forbidden []int // and of those that it must not, for it was gone
	faults    []error
}

func newCrashTest(t *testing.T, flags ...string) *crashTest {
	c := &crashTest{T: t, random: newRandom(t), lives: &lives{}, program: newProgram(t, binary, t.TempDir(), flags...)}
	c.pub = &publisher{program: c.program}
	c.guests = newSink(t, "guests", c.lives.now)
	return c
}

func (c *crashTest) upTo(d time.Duration) time.Duration {
	return time.Duration(c.random.Int64N(int64(d)))
}

// A subscriber is a sink and what it is to receive.
type subscriber struct {
	*sink
	hears   func(event) bool
	ordered func(event) string // what is in order among itself; nil = nothing is
}

func (c *crashTest) subscribeAll() {
	c.Helper()
	of := func(company int, types ...string) func(event) bool {
		return func(e event) bool { return e.company == company && slices.Contains(types, e.typ) }
	}
	everything := []string{customers, invoices}
	add := func(name string, hears func(event) bool, ordered func(event) string) *sink {
		s := newSink(c.T, name, c.lives.now)
		c.subscribers = append(c.subscribers, &subscriber{s, hears, ordered})
		return s
	}
	byEntity := func(e event) string { return e.about() }
	strict := func(event) string { return "everything" }

	subscribe(c.T, c.program, add("native", of(1, everything...), nil), 1, map[string]any{"types": []string{"*"}})
	subscribe(c.T, c.program, add("native of the other company", of(2, everything...), nil), 2, map[string]any{"types": []string{"*"}, "format": "structured"})
	subscribe(c.T, c.program, add("native by entity", of(1, invoices), byEntity), 1, map[string]any{"types": []string{invoices}, "ordering": "entity"})
	one := add("native strict", of(1, customers), strict)
	one.slow = true // each failure would hold up all others
	subscribe(c.T, c.program, one, 1, map[string]any{"types": []string{customers}, "ordering": "strict"})
	subscribe(c.T, c.program, add("facturascripts", of(1, customers), byEntity), 1, map[string]any{"types": []string{customers}, "contract": "facturascripts", "ordering": "entity"})
	subscribe(c.T, c.program, add("native that matches nothing", of(1), nil), 1, map[string]any{"types": []string{"receipt.paid"}})

	token, defacto, fic := c.program.token(c.T, 1), add("defacto", of(1, invoices), nil), add("fic", of(1, customers), nil)
	defacto.slow, fic.slow = true, true
	err := errors.Join(
		c.program.call("POST", "/webhooks", token, map[string]any{
			"name": "Verified", "to_url": defacto.URL, "event_types": []string{"Invoice.VERIFIED"},
		}, nil),
		c.program.call("POST", "/c/1/subscriptions", token, map[string]any{"data": map[string]any{
			"sink": fic.URL, "types": []string{"it.fattureincloud.webhooks.entities.clients.create"},
		}}, nil))
	if err != nil {
		c.Fatal(err)
	}
}

// interrupt ends the program in one of the ways in which programs end, and
// starts it again.
func (c *crashTest) interrupt() {
	c.Helper()
	switch c.random.IntN(4) {
	case 0: // stopped as a supervisor does
		if err := c.program.stop(); err != nil {
			c.Error(err)
		}
		c.next(true)
	case 1: // and killed, for that took too long
		_ = c.program.cmd.Process.Signal(syscall.SIGTERM)
		pause(c.upTo(20 * time.Millisecond))
		c.program.kill()
		c.next(false)
	case 2: // killed, and again while it starts
		c.program.kill()
		for range 1 + c.random.IntN(4) {
			c.next(false)
			if err := c.program.begin(); err != nil {
				c.Fatal(err)
			}
			pause(c.upTo(100 * time.Millisecond))
			c.program.kill()
		}
		c.next(false)
	default:
		c.program.kill()
		c.next(false)
	}
	c.program.start(c.T)
}

// next begins the program's next life, when all of the one before has arrived.
func (c *crashTest) next(graceful bool) {
	c.Helper()
	for _, s := range c.subscribers {
		s.settle(c.T)
	}
	c.guests.settle(c.T)
	c.lives.end(graceful)
}

// comeAndGo subscribes, hears of an event, and unsubscribes, again and again.
func (c *crashTest) comeAndGo(stopped <-chan struct{}) {
	for {
		select {
		case <-stopped:
			return
		default:
		}
		guest := c.pub.next.Add(1)
		e := event{number: int(guest), company: 3, typ: fmt.Sprint("crash.guest.", guest)}
		var made struct{ ID int64 }
		wish := map[string]any{"sink": c.guests.URL, "types": []string{e.typ}, "handshake": "none", "schedule": slices.Repeat([]int{1}, 20)}
		if err := c.program.call("POST", "/v1/companies/3/subscriptions", admin, wish, &made); err != nil {
			// It is down, or was when we asked; whether there is a subscription of that
			// type now is not known, and the next one has another.
			select {
			case <-stopped:
				return
			case <-time.After(10 * time.Millisecond):
				continue
			}
		}
		if !c.pub.publishFor(&e, stopped) {
			return
		}
		c.note(&c.owed, e.number)
		hears := func(event) bool { return true }
		if !eventually(func() bool { return len(c.guests.missing([]event{e}, hears)) == 0 }) {
			return // it is owed, and found missing in the end
		}
		if !c.unsubscribe(made.ID, stopped) {
			return
		}
		e.number = int(c.pub.next.Add(1))
		if !c.pub.publishFor(&e, stopped) {
			return
		}
		c.note(&c.forbidden, e.number)
	}
}

func (c *crashTest) note(list *[]int, number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*list = append(*list, number)
}

// unsubscribe deletes a subscription that was made, so that it must be there
// until that is done.
func (c *crashTest) unsubscribe(id int64, stopped <-chan struct{}) bool {
	for again := false; ; again = true {
		err := c.program.call("DELETE", fmt.Sprintf("/v1/companies/3/subscriptions/%d", id), admin, nil, nil)
		refused, ok := errors.AsType[*refusal](err)
		switch {
		case err == nil:
			return true
		case ok && refused.status == http.StatusNotFound && again:
			return true // we did not hear that it was done
		case ok && refused.status == http.StatusNotFound:
			c.mu.Lock()
			c.faults = append(c.faults, fmt.Errorf("subscription %d was made and is not there", id))
			c.mu.Unlock()
			return true
		}
		select {
		case <-stopped:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// checkComing checks what those who came and went have heard.
func (c *crashTest) checkComing() {
	c.Helper()
	for _, err := range c.faults {
		c.Error(err)
	}
	got := map[int]bool{}
	for _, n := range c.guests.all() {
		got[n.number] = true
	}
	for _, number := range c.owed {
		if !got[number] {
			c.Errorf("event %d did not reach the one who had subscribed before", number)
		}
	}
	for _, number := range c.forbidden {
		if got[number] {
			c.Errorf("event %d reached one who had unsubscribed before", number)
		}
	}
	if len(c.owed) == 0 {
		c.Error("nobody came and went")
	}
}

func (c *crashTest) report(accepted int) {
	c.Helper()
	total, again := 0, 0
	for _, s := range c.subscribers {
		got := s.all()
		seen := map[int]bool{}
		for _, n := range got {
			seen[n.number] = true
		}
		total, again = total+len(got), again+len(got)-len(seen)
	}
	c.Logf("%d lives: %d events accepted, %d notifications, of which %d came again; %d guests",
		c.lives.now()+1, accepted, total, again, len(c.owed))
}

// lives counts the lives of a program, and knows which of them ended well.
type lives struct {
	mu    sync.Mutex
	ended []bool // gracefully
	count atomic.Int64
}

// now gives the life that is being lived.
func (l *lives) now() int { return int(l.count.Load()) }

func (l *lives) end(graceful bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, graceful)
	l.count.Add(1)
}

// graceful tells of each life whether it ended gracefully.
func (l *lives) graceful() []bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ended)
}

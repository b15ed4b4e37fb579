package crash_test

import (
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

// What may happen to the database that nodes share, and to their ways to it.

func TestNothingIsLostWhenTheConnectionsOfANodeBreak(t *testing.T) {
	t.Parallel()
	// Given three nodes, one of which reaches the database by a way of its own,
	c := newNodes(t)
	way, err := c.database.NewProxy()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = way.Close() })
	direct := c.url
	c.begin("a")
	c.subscribeAll()
	c.url = way.URL("postgres")
	c.begin("b")
	c.url = direct
	c.begin("c")
	c.awaitParts(21, "a", "b", "c")
	endLoad := c.beginLoad()
	c.takeLoad()

	// when its connections break in the middle of its commits, again and again,
	const wanted = 15
	cuts := 0
	often := eventually(func() bool {
		way.Arm(pgcluster.Direction(cuts%2), 997*cuts)
		pause(50 * time.Millisecond)
		if way.Disarm() {
			cuts++
		}
		return cuts == wanted
	})
	if !often {
		t.Errorf("only %d times were connections cut", cuts)
	}
	c.takeLoad()
	// and when it is cut off until others have taken over, and comes back,
	cutOff := time.Now()
	way.Shut()
	c.awaitParts(32, "a", "c")
	c.killedAt = time.Now()
	t.Logf("the parts of a node that was cut off were taken over within %v", c.killedAt.Sub(cutOff))
	c.takeLoad()
	way.Open()
	c.awaitParts(21, "a", "b", "c")
	c.takeLoad()
	endLoad()

	// then nothing is lost or out of order, and again comes only what was in flight.
	c.check(true)
}

func TestNothingIsLostWhenTheDatabaseOfSeveralNodesIsRestarted(t *testing.T) {
	t.Parallel()
	c := newNodesOn(t, newCluster(t, pgcluster.Options{Durable: true})) // for it is killed
	endLoad := c.beginThree()
	for _, end := range []func() error{c.database.Stop, c.database.Kill} {
		c.takeLoad()
		if err := errors.Join(end(), c.database.Start(t.Context())); err != nil {
			t.Fatal(err)
		}
		c.awaitParts(21, "a", "b", "c")
		c.killedAt = time.Now() // on a slow machine it took longer than the leases last
	}
	c.takeLoad()
	endLoad()
	c.check(true)
}

func TestNothingIsLostWhenSeveralNodesGoOnWithTheStandby(t *testing.T) {
	t.Parallel()
	primary, standby, both := newPrimaryAndStandby(t)
	c := newNodesOn(t, primary)
	c.url = both
	endLoad := c.beginThree()
	c.takeLoad()
	if err := errors.Join(primary.Kill(), standby.Promote(t.Context())); err != nil {
		t.Fatal(err)
	}
	c.awaitParts(21, "a", "b", "c")
	c.killedAt = time.Now() // as above
	c.takeLoad()
	endLoad()
	c.check(true)
}

func TestNothingIsLostWhenThePgBouncerOfSeveralNodesIsRestarted(t *testing.T) {
	t.Parallel()
	c := newNodes(t)
	bouncer, err := c.database.NewBouncer(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closing(t, bouncer.Close) })
	c.url = bouncer.URL("postgres")
	endLoad := c.beginThree()
	for range 2 {
		c.takeLoad()
		if err := errors.Join(bouncer.Kill(), bouncer.Start(t.Context())); err != nil {
			t.Fatal(err)
		}
		c.awaitParts(21, "a", "b", "c")
		c.killedAt = time.Now() // as above
	}
	c.takeLoad()
	endLoad()
	c.check(true)
}

var clock = flag.Bool("clock", false, "try a node whose clock is an hour off: the program is built anew for that, with all that it is made of")

func TestNothingIsLostWhenTheClockOfANodeIsAnHourOff(t *testing.T) {
	t.Parallel()
	if !*clock {
		t.Skip("-clock is not given")
	}
	// Given three nodes, one of which believes that it is an hour later, for that
	// is what its package time says,
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	const now = "	sec, nsec, mono := runtimeNow()\n	if mono == 0 {"
	late := buildChanged(t, filepath.Join(strings.TrimSpace(string(root)), "src/time/time.go"), now, strings.Replace(now, "\n", "\n	sec += 3600\n", 1))
	c := newNodes(t)
	c.begin("a")
	c.subscribeAll()
	c.beginAs(late, "b")
	c.begin("c")
	c.awaitParts(21, "a", "b", "c")
	if ahead := c.program("b").clock(t).Sub(c.program("a").clock(t)); ahead < 50*time.Minute {
		t.Fatalf("the clock of b is ahead by %v, want an hour", ahead)
	}
	endLoad := c.beginLoad()
	c.takeLoad()
	// when it comes to serve what others did, and they what it did,
	c.leave("a")
	if err := c.program("a").stop(); err != nil {
		t.Error(err)
	}
	c.awaitParts(32, "b", "c")
	c.takeLoad()
	c.leave("b")
	if err := c.program("b").stop(); err != nil {
		t.Error(err)
	}
	c.awaitParts(64, "c")
	c.takeLoad()
	endLoad()
	// then nothing is lost, out of order or sent twice, and seq has no gaps.
	c.check(false)
}

// clock gives what time the program believes it is.
func (p *program) clock(t *testing.T) time.Time {
	t.Helper()
	r, err := p.http.Get(p.url("/healthz"))
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	at, err := time.Parse(time.RFC1123, r.Header.Get("Date"))
	if err != nil {
		t.Fatal(fmt.Errorf("Date: %w", err))
	}
	return at
}

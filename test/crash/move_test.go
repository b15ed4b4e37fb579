package crash_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

func TestAMovedInstallationGoesOnDelivering(t *testing.T) {
	t.Parallel()
	// Given a program that has delivered some events, and has more to deliver, of
	// which some are due again and others wait for these,
	cluster := newCluster(t, pgcluster.Options{})
	folder := filepath.Join(t.TempDir(), "data")
	p := newProgram(t, binary, folder)
	p.start(t)
	heard := newHearers(t, p)
	pub := &publisher{program: p}
	pub.more(150)
	heard.await(t, pub.accepted())
	heard.down.Store(true)
	pub.more(150)
	heard.awaitFailures(t)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}

	// when it is moved, by a command that is killed again and again,
	m := &mover{t, folder, cluster.URL("postgres")}
	m.killed(func(string) bool { return true }) // with nothing but the note in the folder, or not even that
	for range 6 {
		m.killed(func(line string) bool { return strings.HasPrefix(line, "moved ") })
	}
	m.refused("is being moved")
	if said, ok := command(t, m.args()...); !ok || !strings.Contains(said, "moved and checked") {
		t.Fatalf("the move does not end: %s", said)
	}
	if said, ok := command(t, m.args()...); !ok || !strings.Contains(said, "nothing is left to do") {
		t.Errorf("moved again: %s", said)
	}

	// and the database is served,
	heard.down.Store(false)
	after := newProgram(t, binary, folder, "--database", m.url)
	after.start(t)
	pub.program = after
	pub.more(150)

	// then all that was accepted before and after arrives, once, in order and under
	// the id that it had before.
	all := pub.accepted()
	heard.await(t, all)
	if err := after.stop(); err != nil {
		t.Error(err)
	}
	heard.check(t, all)
	after.start(t)
	for _, company := range []int{1, 2} {
		if err := after.checkHistory(company, all); err != nil {
			t.Error(err)
		}
	}
	// The folder alone is not served any more.
	alone := newProgram(t, binary, folder)
	if err := alone.begin(); err != nil {
		t.Fatal(err)
	}
	if <-alone.ended; alone.cmd.ProcessState.Success() || !strings.Contains(alone.log.String(), "was moved to "+m.url) {
		t.Errorf("the folder is served beside the database:\n%s", alone.log.String())
	}
}

func TestCountingForAMoveBesideARunningProgram(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, pgcluster.Options{})
	p := newProgram(t, binary, filepath.Join(t.TempDir(), "data"))
	p.start(t)
	pub := &publisher{program: p}
	pub.more(20)
	m := &mover{t, p.dir, cluster.URL("postgres")}
	by := fmt.Sprintf("in use by process %d", p.cmd.Process.Pid)
	said, ok := command(t, append(m.args(), "--dry-run")...)
	if fields := strings.Fields(said); !ok || !slices.Contains(fields, "20") || !strings.Contains(said, by) || !strings.Contains(said, "nothing was changed") {
		t.Errorf("dry run: %s", said)
	}
	if said, ok := command(t, m.args()...); ok || !strings.Contains(said, by) {
		t.Errorf("moved from under a running program: %s", said)
	}
	pub.more(20) // and it is none the worse for it
}

// A mover moves a folder by the command.
type mover struct {
	*testing.T
	folder, url string
}

func (m *mover) args() []string { return []string{"migrate-data", "--from", m.folder, "--to", m.url} }

// killed begins the move, and kills it when it says what is waited for, or has
// left its note in the folder.
func (m *mover) killed(when func(line string) bool) {
	m.Helper()
	cmd := exec.Command(binary, m.args()...)
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		m.Fatal(err)
	}
	note := filepath.Join(m.folder, "moved.json")
	if _, err := os.Stat(note); err != nil {
		eventually(func() bool { _, err := os.Stat(note); return err == nil })
	} else {
		lines := bufio.NewScanner(said)
		found := false
		for !found && lines.Scan() {
			found = when(lines.Text())
		}
		if !found {
			m.Error("the move was not killed in time")
		}
	}
	_ = cmd.Process.Kill()
	_, _ = io.Copy(io.Discard, said) // so that Wait may close it
	_ = cmd.Wait()                   // it was killed
}

// refused checks that neither the folder nor the database can be served.
func (m *mover) refused(why string) {
	m.Helper()
	for _, flags := range [][]string{nil, {"--database", m.url}} {
		p := newProgram(m.T, binary, m.folder, flags...)
		if err := p.begin(); err != nil {
			m.Fatal(err)
		}
		if <-p.ended; p.cmd.ProcessState.Success() || !strings.Contains(p.log.String(), why) {
			m.Errorf("served in the middle of a move, with %v:\n%s", flags, p.log.String())
		}
	}
}

// A hearer is a subscriber that is down now and then.
type hearer struct {
	*httptest.Server
	name    string
	down    *atomic.Bool
	ordered func(event) string // what is in order among itself; nil = nothing
	slow    bool               // its contract takes minutes to try for a third time

	mu     sync.Mutex
	got    []notification // those answered with 200, in order
	failed map[int]string // by number: the id of one that was answered with 500
}

type hearers struct {
	down atomic.Bool
	all  []*hearer
}

// newHearers subscribes under several contracts and orders to company 1.
func newHearers(t *testing.T, p *program) *hearers {
	h := &hearers{}
	for _, c := range []struct {
		name, path string
		wish       map[string]any
		ordered    func(event) string
	}{
		{name: "native", path: "/v1/companies/1/subscriptions"},
		{name: "in order of entities", path: "/v1/companies/1/subscriptions", wish: map[string]any{"ordering": "entity"}, ordered: func(e event) string { return e.about() }},
		{name: "strict", path: "/v1/companies/1/subscriptions", wish: map[string]any{"ordering": "strict"}, ordered: func(event) string { return "" }},
		{name: "fic", path: "/c/1/subscriptions"},
		{name: "defacto", path: "/webhooks"},
	} {
		one := &hearer{name: c.name, down: &h.down, ordered: c.ordered, slow: c.name == "fic" || c.name == "defacto", failed: map[int]string{}}
		one.Server = httptest.NewServer(one)
		t.Cleanup(one.Close)
		wish := map[string]any{"sink": one.URL, "types": []string{"*"}, "handshake": "none", "schedule": slices.Repeat([]int{1}, 20)}
		switch c.name {
		case "fic":
			wish = map[string]any{"data": map[string]any{"sink": one.URL, "types": []string{"it.fattureincloud.webhooks.entities.clients.create"}}}
		case "defacto":
			wish = map[string]any{"to_url": one.URL, "event_types": []string{"Invoice.VERIFIED"}}
		}
		for name, value := range c.wish {
			wish[name] = value
		}
		if err := p.call("POST", c.path, p.token(t, 1), wish, nil); err != nil {
			t.Fatal(err)
		}
		h.all = append(h.all, one)
	}
	return h
}

// hears tells which events it is told of.
func (h *hearer) hears(e event) bool {
	switch {
	case e.company != 1:
		return false
	case h.name == "fic":
		return e.typ == customers
	case h.name == "defacto":
		return e.typ == invoices
	}
	return true
}

func (h *hearer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, ok := notified(w, r)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down.Load() && (h.failed[n.number] == "" || !h.slow) {
		h.failed[n.number] = n.id
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h.got = append(h.got, n)
}

// await waits until each has received all that it hears.
func (hs *hearers) await(t *testing.T, accepted []event) {
	t.Helper()
	for _, h := range hs.all {
		if !dwindles(func() int { return h.missing(accepted) }) {
			t.Fatalf("%s: %d events never came", h.name, h.missing(accepted))
		}
	}
}

// awaitFailures waits until each has refused something.
func (hs *hearers) awaitFailures(t *testing.T) {
	t.Helper()
	for _, h := range hs.all {
		if !eventually(func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.failed) > 0 }) {
			t.Fatalf("%s: nothing came while it was down", h.name)
		}
	}
}

func (h *hearer) missing(accepted []event) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	got := map[int]bool{}
	for _, one := range h.got {
		got[one.number] = true
	}
	for _, e := range accepted {
		if h.hears(e) && !got[e.number] {
			n++
		}
	}
	return n
}

// check checks that everything came once, in order, and under the id that it had
// when it failed.
func (hs *hearers) check(t *testing.T, accepted []event) {
	t.Helper()
	events := map[int]event{}
	for _, e := range accepted {
		events[e.number] = e
	}
	for _, h := range hs.all {
		h.mu.Lock()
		times, last, kept := map[int]int{}, map[string]int64{}, 0
		for _, one := range h.got {
			e := events[one.number]
			if times[one.number]++; times[one.number] > 1 || !h.hears(e) {
				t.Errorf("%s: event %d, of %s, came %d times", h.name, one.number, e.typ, times[one.number])
			}
			if before := h.failed[one.number]; before != "" {
				kept++
				if before != one.id {
					t.Errorf("%s: event %d failed with the id %s and came with %s", h.name, one.number, before, one.id)
				}
			}
			if h.ordered != nil {
				of := h.ordered(e)
				if e.seq < last[of] {
					t.Errorf("%s: %s: seq %d came after %d", h.name, of, e.seq, last[of])
				}
				last[of] = e.seq
			}
		}
		if kept == 0 {
			t.Errorf("%s: nothing that had failed before the move came after it", h.name)
		}
		h.mu.Unlock()
	}
}

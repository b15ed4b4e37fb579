package crash_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

func TestASecondProcessTakesOverWhenTheFirstIsKilled(t *testing.T) {
	t.Parallel()
	// Given a process that serves a database under load, and one that stands by,
	p := newPair(t)
	// when the first is killed,
	p.first.kill()
	took := p.takeover()
	p.endLoad()

	// then the second goes on, nothing that was accepted is lost, and what comes
	// again was in flight.
	accepted := p.checkDelivered()
	again := p.checkOnce()
	if most := 16 * lanes; again > most {
		t.Errorf("%d notifications came again, want at most %d", again, most)
	}
	t.Logf("taken over within %v: %d events accepted, %d notifications came again", took, accepted, again)
}

func TestAProcessThatStopsHandsOver(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	begun := time.Now()
	if err := p.first.stop(); err != nil {
		t.Error(err)
	}
	stopped := time.Since(begun)
	took := p.takeover()
	p.endLoad()
	accepted := p.checkDelivered()
	if again := p.checkOnce(); again > 0 {
		t.Errorf("%d notifications came again after a graceful stop", again)
	}
	t.Logf("stopped within %v, taken over within %v of that: %d events accepted", stopped, took, accepted)
}

func TestAProcessThatWasPausedSendsNothingAfterTheTakeover(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	// Given a process that is paused with a lot to send, and the other that has
	// taken over,
	if err := p.first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	took := p.takeover()
	before, notified := p.receiver.from(first)
	// when it wakes,
	if err := p.first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// then it ends, and says why,
	<-p.first.ended
	if p.first.cmd.ProcessState.Success() || !strings.Contains(p.first.log.String(), "another process serves the database now") {
		t.Errorf("%v, and said:\n%s", p.first.cmd.ProcessState, p.first.log.String())
	}
	p.endLoad()
	// and sends nothing but what it was sending in the very moment.
	after, _ := p.receiver.from(first)
	if after-before > lanes {
		t.Errorf("%d notifications were sent by a process that had lost the lease", after-before)
	}
	accepted := p.checkDelivered()
	again := p.checkOnce()
	if most := 16 * lanes; again > most {
		t.Errorf("%d notifications came again, want at most %d", again, most)
	}
	t.Logf("taken over within %v, %d of %d events told before: %d accepted, %d sent after it woke, %d came again", took, notified, before, accepted, after-before, again)
}

// A pair of processes on one database, under load.
type pair struct {
	*testing.T
	first, second *program
	receiver      *receiver
	front         *publisher // publishes to the one that serves
	to            atomic.Pointer[program]
	stopped       chan struct{}
	load          sync.WaitGroup
}

// What the processes call themselves.
const (
	first  = "first"
	second = "second"
)

// newPair starts two processes, the first of which serves, and has events
// published faster than they can be sent.
func newPair(t *testing.T) *pair {
	cluster, err := pgcluster.New(t.Context(), pgcluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &pair{T: t, receiver: newReceiver(t), stopped: make(chan struct{})}
	start := func(name string) *program {
		return newProgram(t, binary, filepath.Join(t.TempDir(), name), "--database", cluster.URL("postgres"), "--fic-user-agent", name)
	}
	p.first, p.second = start(first), start(second)
	p.first.start(t)
	err = p.first.call("POST", "/c/1/subscriptions", p.first.token(t, 1), map[string]any{"data": map[string]any{
		"sink": p.receiver.URL, "types": []string{"it.fattureincloud.webhooks.entities.clients.create"},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	copyKeys(t, p.first.dir, p.second.dir)
	if err := p.second.begin(); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return p.second.answers("/readyz") == "503 standby\n" }) {
		t.Fatalf("the second process does not stand by: /readyz: %s\n%s", p.second.answers("/readyz"), p.second.log.String())
	}
	if got := p.second.answers("/healthz"); got != "200 up\n" {
		t.Errorf("/healthz of the second process: %s", got)
	}
	p.begin()
	return p
}

// copyKeys gives another process the master keys of the first.
func copyKeys(t *testing.T, from, to string) {
	keys, err := os.ReadFile(filepath.Join(from, "master.keys"))
	if err == nil {
		err = os.MkdirAll(to, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(to, "master.keys"), keys, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// answers gives status and body of a GET.
func (p *program) answers(path string) string {
	r, err := p.http.Get(p.url(path))
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", r.StatusCode, text)
}

// begin begins to publish, and returns when some hundreds are accepted.
func (p *pair) begin() {
	p.to.Store(p.first)
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, p.to.Load().address)
	}
	way := &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 64}
	p.front = &publisher{program: &program{address: "fattorino.example", http: &http.Client{Transport: way, Timeout: patience}}}
	for range 8 {
		p.load.Go(func() {
			more := true
			for more {
				select {
				case <-p.stopped:
					return
				default:
				}
				e := event{number: int(p.front.next.Add(1)), company: 1, typ: customers}
				more = p.front.publish(&e, p.stopped)
			}
		})
	}
	p.Cleanup(func() {
		way.CloseIdleConnections()
		_ = p.first.cmd.Process.Signal(syscall.SIGCONT) // it may be paused: it could not be ended
	})
	if !eventually(func() bool { n, _ := p.receiver.from(first); return n > 200 && len(p.front.accepted()) > n+200 }) {
		p.Fatalf("no load: %d events accepted\n%s", len(p.front.accepted()), p.first.log.String())
	}
}

// takeover waits until the second process serves, and lets the publishers know.
func (p *pair) takeover() (took time.Duration) {
	p.Helper()
	begun := time.Now()
	if err := p.second.ready(); err != nil {
		p.Fatal(err)
	}
	took = time.Since(begun)
	p.to.Store(p.second)
	p.front.program.http.CloseIdleConnections()
	return took
}

// endLoad ends publishing, when the second process has taken some too.
func (p *pair) endLoad() {
	p.Helper()
	before := len(p.front.accepted())
	if !eventually(func() bool { return len(p.front.accepted()) > before+200 }) {
		p.Errorf("the second process accepts nothing:\n%s", p.second.log.String())
	}
	close(p.stopped)
	p.load.Wait()
}

// checkDelivered waits until all that was accepted has been received.
func (p *pair) checkDelivered() (accepted int) {
	p.Helper()
	all := p.front.accepted()
	if !dwindles(func() int { return p.receiver.missing(all) }) {
		p.Errorf("%d of %d accepted events were never delivered", p.receiver.missing(all), len(all))
	}
	if err := p.second.checkHistory(1, all); err != nil {
		p.Error(err)
	}
	return len(all)
}

// checkOnce checks that neither process has sent anything twice, and counts what
// both have sent.
func (p *pair) checkOnce() (both int) {
	p.Helper()
	p.receiver.mu.Lock()
	defer p.receiver.mu.Unlock()
	for number, n := range p.receiver.got[first] {
		if n > 1 {
			p.Errorf("event %d was sent %d times by the first process", number, n)
		}
		if p.receiver.got[second][number] > 0 {
			both++
		}
	}
	for number, n := range p.receiver.got[second] {
		if n > 1 {
			p.Errorf("event %d was sent %d times by the second process", number, n)
		}
	}
	return both
}

// A receiver is a subscriber that takes its time, and tells the processes apart
// by what they call themselves.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got map[string]map[int]int // by process and event: how often
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{got: map[string]map[int]int{first: {}, second: {}}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.receive))
	t.Cleanup(r.Close)
	return r
}

func (v *receiver) receive(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_, _ = fmt.Fprintf(w, `{"verification":%q}`, r.Header.Get("x-fic-verification-challenge"))
		return
	}
	body, err := io.ReadAll(r.Body)
	found := numberIn.FindSubmatch(body)
	if err != nil || found == nil {
		return // a process that was killed, or a welcome
	}
	number, _ := strconv.Atoi(string(found[1]) + string(found[2]))
	v.mu.Lock()
	v.got[r.UserAgent()][number]++
	v.mu.Unlock()
	pause(20 * time.Millisecond)
}

// from counts what a process has sent: notifications, and events.
func (v *receiver) from(process string) (notifications, events int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, n := range v.got[process] {
		notifications += n
	}
	return notifications, len(v.got[process])
}

// missing counts the events that were not received from either process.
func (v *receiver) missing(all []event) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range all {
		if v.got[first][e.number]+v.got[second][e.number] == 0 {
			n++
		}
	}
	return n
}

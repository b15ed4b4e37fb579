package crash_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

// companies is how many there are: enough for every node to serve some.
const companies = 16

func TestNothingAcceptedIsLostAsNodesComeAndGo(t *testing.T) {
	t.Parallel()
	// Given three processes on one database, each of which serves a third of the
	// parts, and publishers who publish at any of them,
	c := newNodes(t)
	endLoad := c.beginThree()
	c.takeLoad()

	// when one is killed,
	c.leave("a")
	killed := time.Now()
	c.program("a").kill()
	c.killedAt = time.Now() // until then what it had sent may have come
	c.awaitParts(32, "b", "c")
	t.Logf("the parts of a node that was killed were taken over within %v", time.Since(killed))
	c.takeLoad()
	// one comes,
	c.begin("d")
	c.awaitParts(21, "b", "c", "d")
	c.takeLoad()
	// and one is stopped,
	c.leave("c")
	stopped := time.Now()
	if err := c.program("c").stop(); err != nil {
		t.Error(err)
	}
	c.awaitParts(32, "b", "d")
	t.Logf("the parts of a node that was stopped were taken over within %v of the signal", time.Since(stopped))
	c.takeLoad()
	endLoad()

	// then nothing is lost, what is ordered came in order, and again came only
	// what was in flight when one was killed.
	c.check(true)
}

func TestANodeThatWasPausedSendsNothingAfterOthersTookOver(t *testing.T) {
	t.Parallel()
	c := newNodes(t)
	c.begin("a")
	c.subscribeAll()
	c.begin("b")
	c.awaitParts(32, "a", "b")
	endLoad := c.beginLoad()
	c.takeLoad()

	// Given a process that is paused with a lot to send, and another that has taken
	// over,
	c.leave("a")
	paused := time.Now()
	if err := c.program("a").cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.program("a").cmd.Process.Signal(syscall.SIGCONT) }) // it could not be ended
	c.awaitParts(64, "b")
	c.killedAt = time.Now()
	t.Logf("the parts of a node that was paused were taken over within %v", c.killedAt.Sub(paused))
	c.takeLoad()
	// when it wakes,
	if err := c.program("a").cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// then it takes its share anew, without a restart,
	c.awaitParts(32, "a", "b")
	c.enter("a")
	c.takeLoad()
	endLoad()
	// and nothing is lost or out of order.
	c.check(true)
}

func TestWhatIsMadeAtOneNodeIsKnownAtEveryOther(t *testing.T) {
	t.Parallel()
	c := newNodes(t)
	c.begin("a", "b", "c")
	c.awaitParts(21, "a", "b", "c")
	c.knowEachOther()
}

func TestASinkIsChallengedWhereverItsPartGoesMeanwhile(t *testing.T) {
	t.Parallel()
	// Given a node where subscriptions are made all the time, in every part,
	c := newNodes(t)
	c.begin("a")
	token := c.program("a").token(t)
	var mu sync.Mutex
	var made []ficSubscription
	var next atomic.Int64
	var makers sync.WaitGroup
	stopped := make(chan struct{})
	for range 16 {
		makers.Go(func() {
			for {
				select {
				case <-stopped:
					return
				default:
				}
				s, err := c.program("a").subscribeFIC(token, int(next.Add(1)), c.receiver.URL)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				made = append(made, s)
				mu.Unlock()
			}
		})
	}

	// when parts go to other nodes, and come back, again and again,
	for range 3 {
		c.begin("b", "c")
		c.awaitParts(21, "a", "b", "c")
		for _, name := range []string{"b", "c"} {
			c.leave(name)
			if err := c.program(name).stop(); err != nil {
				t.Error(err)
			}
		}
		c.awaitParts(64, "a")
	}
	close(stopped)
	makers.Wait()

	// then each sink is challenged.
	all := len(made)
	verified := func(s ficSubscription) bool { return c.program("a").verified(token, &s) }
	if !eventually(func() bool { made = slices.DeleteFunc(made, verified); return len(made) == 0 }) {
		t.Errorf("%d of %d subscriptions are not verified: %+v", len(made), all, made)
	}
}

// A ficSubscription is one under the contract of Fatture in Cloud.
type ficSubscription struct {
	company int
	Data    struct {
		ID       string
		Verified bool
	}
}

// subscribeFIC makes a subscription to new customers of a company.
func (p *program) subscribeFIC(token string, company int, sink string) (made ficSubscription, err error) {
	made.company = company
	err = p.call("POST", fmt.Sprintf("/c/%d/subscriptions", company), token, map[string]any{"data": map[string]any{
		"sink": fmt.Sprintf("%s/fic/%d", sink, company), "types": []string{"it.fattureincloud.webhooks.entities.clients.create"},
	}}, &made)
	return made, err
}

// verified tells whether the sink has proved itself, be it after the answer, which
// waits for that for two seconds at most.
func (p *program) verified(token string, s *ficSubscription) bool {
	if !s.Data.Verified {
		_ = p.call("GET", fmt.Sprintf("/c/%d/subscriptions/%s", s.company, s.Data.ID), token, nil, s) // it is asked again
	}
	return s.Data.Verified
}

func TestNodesShareTheWorkBehindAConnectionPooler(t *testing.T) {
	t.Parallel()
	c := newNodes(t)
	bouncer, err := c.database.NewBouncer(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bouncer.Close() })
	c.url = bouncer.URL("postgres") + "&default_query_exec_mode=exec" // Debian's has no prepared statements yet
	c.begin("a", "b", "c")
	c.awaitParts(21, "a", "b", "c")
	c.knowEachOther()
}

// knowEachOther checks that what is done at a node is so at all others.
func (c *nodes) knowEachOther() {
	c.Helper()
	names := c.names()
	token := c.program(names[0]).token(c.T)
	var slowest time.Duration
	for company := 1; company <= companies; company++ {
		// A subscription that is made at one node, and proved by the one that serves
		// its part,
		maker := c.program(names[company%len(names)])
		made, err := maker.subscribeFIC(token, company, c.receiver.URL)
		if err != nil {
			c.Fatalf("company %d: %v", company, err)
		}
		if !eventually(func() bool { return maker.verified(token, &made) }) {
			c.Fatalf("company %d: %+v is not verified", company, made)
		}
		for _, name := range names {
			// hears of the next event, at whichever node it is published.
			e := event{number: int(c.next.Add(1)), company: company, typ: customers}
			begun := time.Now()
			if _, err := (&publisher{program: c.program(name)}).post(&e); err != nil || e.seq == 0 {
				c.Fatalf("published at %s: seq %d, %v", name, e.seq, err)
			}
			if !eventually(func() bool { return c.receiver.count("/fic/"+strconv.Itoa(company), e.number) > 0 }) {
				c.Fatalf("company %d: an event published at %s, right after the subscription was made at another node, did not arrive", company, name)
			}
			slowest = max(slowest, time.Since(begun))
		}
	}
	c.Logf("each event arrived within %v", slowest)

	// A token that is revoked at one node is refused at all.
	var tokens struct {
		Tokens []struct {
			ID   int64
			Kind string
		}
	}
	if err := c.program(names[0]).call("GET", "/v1/tokens", admin, nil, &tokens); err != nil {
		c.Fatal(err)
	}
	for _, known := range tokens.Tokens {
		if known.Kind == "api" {
			if err := c.program(names[0]).call("DELETE", fmt.Sprintf("/v1/tokens/%d", known.ID), admin, nil, nil); err != nil {
				c.Fatal(err)
			}
		}
	}
	for _, name := range names {
		if !eventually(func() bool { return c.program(name).call("GET", "/c/1/subscriptions", token, nil, nil) != nil }) {
			c.Errorf("%s still takes a token that was revoked elsewhere", name)
		}
	}
}

// nodes are processes on one database, and those who use them.
type nodes struct {
	*testing.T
	database *pgcluster.Cluster
	url      string // by which they reach it
	dir      string
	receiver *receiver
	next     atomic.Int64 // number of an event
	killedAt time.Time    // when one was killed, or cut off; zero = none was

	mu       sync.Mutex
	programs map[string]*program
	open     []string // to publishers
	done     []event
}

func newNodes(t *testing.T) *nodes {
	return newNodesOn(t, newCluster(t, pgcluster.Options{Settings: map[string]string{"max_connections": "100"}}))
}

func newNodesOn(t *testing.T, database *pgcluster.Cluster) *nodes {
	return &nodes{T: t, database: database, url: database.URL("postgres"), dir: t.TempDir(), receiver: newReceiver(t), programs: map[string]*program{}}
}

// begin starts processes, each with the master keys of the first.
func (c *nodes) begin(names ...string) {
	c.Helper()
	c.beginAs(binary, names...)
}

// beginAs is begin with another build of the program.
func (c *nodes) beginAs(binary string, names ...string) {
	c.Helper()
	for _, name := range names {
		p := newProgram(c.T, binary, filepath.Join(c.dir, name), "--database", c.url)
		if first := c.names(); len(first) > 0 {
			copyKeys(c.T, c.program(first[0]).dir, p.dir)
		}
		p.start(c.T)
		c.mu.Lock()
		c.programs[name] = p
		c.mu.Unlock()
		c.enter(name)
	}
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

func (c *nodes) program(name string) *program {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.programs[name]
}

// enter has publishers publish at a node, and leave not any more.
func (c *nodes) enter(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = append(c.open, name)
}

func (c *nodes) leave(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = slices.DeleteFunc(slices.Clone(c.open), func(open string) bool { return open == name })
}

func (c *nodes) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.open)
}

// beginThree has three processes share the parts, and publishers publish at them.
func (c *nodes) beginThree() (endLoad func()) {
	c.Helper()
	c.begin("a")
	c.subscribeAll()
	c.begin("b", "c")
	c.awaitParts(21, "a", "b", "c")
	return c.beginLoad()
}

// awaitParts waits until each of the processes serves so many parts at least.
func (c *nodes) awaitParts(least int, names ...string) {
	c.Helper()
	for _, name := range names {
		var said string
		reached := eventually(func() bool {
			said = c.program(name).answers("/readyz")
			var status, held, all int
			n, _ := fmt.Sscanf(said, "%d ready: %d of %d parts", &status, &held, &all)
			return n == 3 && held >= least
		})
		if !reached {
			c.Fatalf("%s does not get %d parts: /readyz: %s\n%s", name, least, said, c.program(name).log.String())
		}
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

// subscribeAll makes two subscriptions in each company, at the first node: one in
// any order and one in the order of entities.
func (c *nodes) subscribeAll() {
	c.Helper()
	p := c.program("a")
	for company := 1; company <= companies; company++ {
		for kind, ordering := range map[string]string{"any": "none", "ordered": "entity"} {
			wish := map[string]any{
				"sink": fmt.Sprintf("%s/%s/%d", c.receiver.URL, kind, company), "types": []string{"*"}, "handshake": "none",
				"ordering": ordering, "schedule": slices.Repeat([]int{1}, 20),
			}
			if err := p.call("POST", fmt.Sprintf("/v1/companies/%d/subscriptions", company), p.token(c.T, company), wish, nil); err != nil {
				c.Fatal(err)
			}
		}
	}
}

// beginLoad has publishers publish, each event at any node and then at another
// until it is accepted.
func (c *nodes) beginLoad() (end func()) {
	stopped := make(chan struct{})
	var publishers sync.WaitGroup
	for range 8 {
		publishers.Go(func() {
			for {
				e := event{number: int(c.next.Add(1)), typ: invoices}
				e.company = 1 + e.number%companies
				if !c.publish(&e, stopped) {
					return
				}
			}
		})
	}
	return func() {
		close(stopped)
		publishers.Wait()
	}
}

func (c *nodes) publish(e *event, stopped <-chan struct{}) bool {
	for {
		select {
		case <-stopped:
			return false
		default:
		}
		names := c.names()
		p := &publisher{program: c.program(names[rand.IntN(len(names))])}
		if _, err := p.post(e); err == nil && e.seq > 0 {
			c.mu.Lock()
			c.done = append(c.done, *e)
			c.mu.Unlock()
			return true
		}
		select {
		case <-stopped:
			return false
		case <-time.After(5 * time.Millisecond): // it is down, or was when we asked
		}
	}
}

// takeLoad waits until some hundreds of events more were accepted, and some
// received.
func (c *nodes) takeLoad() {
	c.Helper()
	accepted := func() int { c.mu.Lock(); defer c.mu.Unlock(); return len(c.done) }
	before, received := accepted(), c.receiver.total()
	if !eventually(func() bool { return accepted() > before+400 && c.receiver.total() > received+400 }) {
		c.Fatalf("no load: %d events accepted, %d notifications received", accepted()-before, c.receiver.total()-received)
	}
}

// check checks what was received.
func (c *nodes) check(cutOff bool) {
	c.Helper()
	all := slices.Clone(c.done)
	paths := func(e event) []string {
		return []string{fmt.Sprintf("/any/%d", e.company), fmt.Sprintf("/ordered/%d", e.company)}
	}
	missing := func() (n int) {
		for _, e := range all {
			for _, path := range paths(e) {
				if c.receiver.count(path, e.number) == 0 {
					n++
				}
			}
		}
		return n
	}
	if !dwindles(missing) {
		c.Errorf("%d notifications of %d accepted events never came", missing(), len(all))
	}
	events := map[int]event{}
	for _, e := range all {
		events[e.number] = e
	}
	again := 0
	for path, arrivals := range c.receiver.all() {
		first, last := map[int]time.Time{}, map[string]int64{}
		for _, a := range arrivals {
			e, known := events[a.number]
			if !known {
				continue // published at the very end: its publisher never heard
			}
			if at, repeated := first[a.number]; repeated {
				again++
				if !cutOff || at.After(c.killedAt) {
					c.Errorf("%s: event %d came again, and no node was cut off since", path, a.number)
				}
			} else {
				first[a.number] = a.at
			}
			if strings.HasPrefix(path, "/ordered/") {
				if e.seq < last[e.about()] {
					c.Errorf("%s: %s: event %d with seq %d came after seq %d", path, e.about(), a.number, e.seq, last[e.about()])
				}
				last[e.about()] = e.seq
			}
		}
	}
	if most := 2 * companies * lanes; again > most {
		c.Errorf("%d notifications came again, want at most %d", again, most)
	}
	p := c.program(c.names()[0])
	for company := 1; company <= companies; company++ {
		if err := p.checkHistory(company, all); err != nil {
			c.Error(err)
		}
	}
	c.Logf("%d events accepted, %d notifications came again", len(all), again)
}

// A receiver is all subscribers, told apart by the path of their sinks. It takes
// its time, so that something is always in flight.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got map[string][]arrival
	n   map[string]map[int]int // how often each event came
	sum int
}

// An arrival is a notification as it came.
type arrival struct {
	number int
	at     time.Time
}

func newReceiver(t *testing.T) *receiver {
	v := &receiver{got: map[string][]arrival{}, n: map[string]map[int]int{}}
	v.Server = httptest.NewServer(http.HandlerFunc(v.receive))
	t.Cleanup(v.Close)
	return v
}

func (v *receiver) receive(w http.ResponseWriter, r *http.Request) {
	n, ok := notified(w, r)
	if !ok {
		return
	}
	v.mu.Lock()
	v.got[r.URL.Path] = append(v.got[r.URL.Path], arrival{n.number, time.Now()})
	if v.n[r.URL.Path] == nil {
		v.n[r.URL.Path] = map[int]int{}
	}
	v.n[r.URL.Path][n.number]++
	v.sum++
	v.mu.Unlock()
	pause(5 * time.Millisecond)
}

func (v *receiver) count(path string, number int) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.n[path][number]
}

func (v *receiver) total() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sum
}

func (v *receiver) all() map[string][]arrival {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.got
}

// Package crash_test kills the real program at random moments, under load, and
// checks that nothing that was accepted is lost.
package crash_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var (
	rounds = flag.Int("rounds", 4, "how often the program is killed")
	seed   = flag.Uint64("seed", 0, "seed of the random moments; 0 = drawn")
)

const (
	admin    = "crash-test-admin-token-0123456789"
	heard    = "it.fattureincloud.webhooks.issued_documents.invoices.create"
	notHeard = "it.fattureincloud.webhooks.entities.clients.create"
	lanes    = 8 // attempts that one subscription may have in flight
)

func TestNothingAcceptedIsLostWhenTheProgramIsKilled(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d: to repeat: go test ./test/crash -rounds %d -seed %d", *seed, *rounds, *seed)
	random := rand.New(rand.NewPCG(*seed, 0))

	// Given a running program, a subscriber to invoices and one to clients,
	p := newProgram(t)
	p.start(t)
	invoices, clients := newSink(t), newSink(t)
	p.subscribe(t, invoices, heard)
	p.subscribe(t, clients, "it.fattureincloud.webhooks.entities.suppliers.create")

	// when it is killed again and again while publishers publish,
	pub := &publisher{program: p}
	stopped := make(chan struct{})
	var publishers sync.WaitGroup
	for range 8 {
		publishers.Go(func() { pub.run(stopped) })
	}
	for range *rounds {
		<-time.After(time.Duration(100+random.IntN(900)) * time.Millisecond)
		p.kill(t)
		p.start(t)
	}
	<-time.After(300 * time.Millisecond)
	close(stopped)
	publishers.Wait()

	// then every event that was accepted reaches the one who hears it,
	accepted := pub.accepted()
	if len(accepted) < 100 {
		t.Fatalf("only %d events accepted: no load", len(accepted))
	}
	missing := func() (ids []int) {
		for _, e := range accepted {
			if e.typ == heard && invoices.times(e.number) == 0 {
				ids = append(ids, e.number)
			}
		}
		return ids
	}
	if !eventually(90*time.Second, func() bool { return len(missing()) == 0 }) {
		t.Errorf("%d of %d accepted events were never delivered: %v", len(missing()), len(accepted), missing())
	}
	// nobody else is told anything,
	if n := clients.total(); n != 0 {
		t.Errorf("%d notifications reached a subscription that does not match", n)
	}
	// what was sent twice bears the same id, and is no more than was in flight,
	again := invoices.repeats(t)
	if most := *rounds * lanes; again > most {
		t.Errorf("%d notifications came again, want at most the %d that can have been in flight at %d kills", again, most, *rounds)
	}
	// and the company's history has no gap and no event twice.
	p.checkHistory(t, accepted)
	t.Logf("%d accepted, %d came again, %d kills", len(accepted), again, *rounds)
	p.stop(t)
}

// program is the real binary on a data folder of its own.
type program struct {
	binary, dir, address string
	cmd                  *exec.Cmd
	log                  bytes.Buffer
}

func newProgram(t *testing.T) *program {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &program{binary: filepath.Join(t.TempDir(), "fattorino"), dir: t.TempDir(), address: free.Addr().String()}
	_ = free.Close()
	build := exec.Command("go", "build", "-o", p.binary, "github.com/fattorino-dev/fattorino/cmd/fattorino")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if p.cmd != nil && p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

func (p *program) url(path string) string { return "http://" + p.address + path }

func (p *program) start(t *testing.T) {
	t.Helper()
	p.cmd = exec.Command(p.binary, "serve", "--dev", "--data", p.dir, "--listen", p.address, "--log-level", "warn")
	p.cmd.Env = append(os.Environ(), "FATTORINO_ADMIN_TOKEN="+admin)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := func() bool {
		r, err := http.Get(p.url("/readyz"))
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	}
	if !eventually(20*time.Second, ready) {
		t.Fatalf("the program does not get ready:\n%s", p.log.String())
	}
}

func (p *program) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // it was killed
}

func (p *program) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("graceful stop: %v\n%s", err, p.log.String())
	}
}

// call makes one JSON request that must succeed.
func (p *program) call(t *testing.T, method, path, token string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(method, p.url(path), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatal(err)
	}
}

func (p *program) subscribe(t *testing.T, s *sink, typ string) {
	t.Helper()
	var app struct{ ID int64 }
	p.call(t, "POST", "/v1/apps", admin, map[string]any{"name": typ}, &app)
	var token struct{ Token string }
	p.call(t, "POST", "/v1/tokens", admin, map[string]any{"kind": "api", "app_id": app.ID, "scopes": []string{"*"}}, &token)
	var made struct{ Data struct{ Verified bool } }
	p.call(t, "POST", "/c/1/subscriptions", token.Token, map[string]any{"data": map[string]any{"sink": s.URL, "types": []string{typ}}}, &made)
	if !made.Data.Verified {
		t.Fatal("the subscription is not verified")
	}
}

// checkHistory pulls the company's events: every accepted one is there once,
// with the seq that its publisher was told, and no seq is missing.
func (p *program) checkHistory(t *testing.T, accepted []acceptedEvent) {
	t.Helper()
	at := map[string]int64{}
	for after := int64(0); ; {
		var page struct {
			Events []struct {
				ID  string `json:"id"`
				Seq int64  `json:"seq"`
			} `json:"events"`
			Next int64 `json:"next"`
		}
		p.call(t, "GET", fmt.Sprintf("/v1/companies/1/events?limit=1000&after=%d", after), admin, nil, &page)
		if len(page.Events) == 0 {
			break
		}
		for _, e := range page.Events {
			if after++; e.Seq != after {
				t.Fatalf("seq %d follows %d: there is a gap", e.Seq, after-1)
			}
			if at[e.ID] != 0 {
				t.Errorf("event %s is stored twice, at %d and %d", e.ID, at[e.ID], e.Seq)
			}
			at[e.ID] = e.Seq
		}
	}
	for _, e := range accepted {
		if id := fmt.Sprint("e", e.number); at[id] != e.seq {
			t.Errorf("event %s was accepted with seq %d and is stored at %d", id, e.seq, at[id])
		}
	}
}

// publisher publishes numbered events, and again whenever it is not sure.
type publisher struct {
	program *program
	next    atomic.Int64

	mu   sync.Mutex
	done []acceptedEvent
}

type acceptedEvent struct {
	number int
	typ    string
	seq    int64
}

func (p *publisher) accepted() []acceptedEvent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

func (p *publisher) run(stopped <-chan struct{}) {
	for {
		select {
		case <-stopped:
			return
		default:
		}
		e := acceptedEvent{number: int(p.next.Add(1)), typ: heard}
		if e.number%5 == 0 {
			e.typ = notHeard
		}
		for e.seq = p.publish(e); e.seq == 0; e.seq = p.publish(e) {
			<-time.After(20 * time.Millisecond) // it is down, or was when we asked
		}
		p.mu.Lock()
		p.done = append(p.done, e)
		p.mu.Unlock()
	}
}

// publish gives the seq of the event, or 0 when it is not known to be accepted.
func (p *publisher) publish(e acceptedEvent) int64 {
	_, seq, err := p.post(e, "")
	if err != nil {
		return 0
	}
	return seq
}

// try publishes once, with padding to make the event larger.
func (p *publisher) try(t *testing.T, e acceptedEvent, padding string) (*http.Response, int64) {
	t.Helper()
	answer, seq, err := p.post(e, padding)
	if err != nil {
		t.Fatal(err)
	}
	return answer, seq
}

func (p *publisher) post(e acceptedEvent, padding string) (answer *http.Response, seq int64, err error) {
	body := fmt.Sprintf(`{"specversion":"1.0","id":"e%d","source":"/crash","type":%q,"subject":"company:1","data":{"id":%d,"note":%q}}`, e.number, e.typ, e.number, padding)
	r, err := http.NewRequest(http.MethodPost, p.program.url("/v1/events"), strings.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	r.Header.Set("Authorization", "Bearer "+admin)
	r.Header.Set("Content-Type", "application/cloudevents+json")
	if answer, err = http.DefaultClient.Do(r); err != nil {
		return nil, 0, err
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusAccepted {
		return answer, 0, err
	}
	var receipt struct{ Events []struct{ Seq int64 } }
	if err := json.Unmarshal(text, &receipt); err != nil || len(receipt.Events) != 1 {
		return answer, 0, fmt.Errorf("receipt %s: %w", text, err)
	}
	return answer, receipt.Events[0].Seq, nil
}

// sink receives notifications; the first attempt of every fiftieth is answered
// with 500.
type sink struct {
	*httptest.Server
	mu  sync.Mutex
	got map[int][]string // CloudEvents ids by event number, of those answered with 200
	bad map[int]bool
}

func newSink(t *testing.T) *sink {
	s := &sink{got: map[int][]string{}, bad: map[int]bool{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.receive))
	t.Cleanup(s.Close)
	return s
}

func (s *sink) receive(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_, _ = fmt.Fprintf(w, `{"verification":%q}`, r.Header.Get("x-fic-verification-challenge"))
		return
	}
	var body struct{ Data struct{ IDs []int } }
	if json.NewDecoder(r.Body).Decode(&body) != nil || len(body.Data.IDs) != 1 {
		return // the welcome
	}
	number := body.Data.IDs[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	if number%50 == 1 && !s.bad[number] {
		s.bad[number] = true
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s.got[number] = append(s.got[number], r.Header.Get("ce-id"))
}

func (s *sink) times(number int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got[number])
}

func (s *sink) total() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ids := range s.got {
		n += len(ids)
	}
	return n
}

// repeats counts what came again, and checks that it bore the same id.
func (s *sink) repeats(t *testing.T) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for number, ids := range s.got {
		for _, id := range ids[1:] {
			n++
			if id != ids[0] || id == "" {
				t.Errorf("event %d came with the ids %s and %s", number, strconv.Quote(ids[0]), strconv.Quote(id))
			}
		}
	}
	return n
}

// eventually asks until the answer is yes, or for the time given.
func eventually(most time.Duration, yes func() bool) bool {
	deadline := time.After(most)
	for {
		if yes() {
			return true
		}
		select {
		case <-deadline:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

package crash_test

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A sink is a subscriber. It answers some first attempts with 500, unless its
// contract takes long to try again, and takes its time now and then.
type sink struct {
	*httptest.Server
	name string
	slow bool // to be tried again
	life func() int

	mu   sync.Mutex
	got  []notification // those answered with 200, in order
	bad  map[int]bool   // numbers that were answered with 500
	open int            // connections
}

// A notification is one as the sink received it.
type notification struct {
	number int
	id     string
	life   int // of the program, in which it was sent
}

func newSink(t *testing.T, name string, life func() int) *sink {
	s := &sink{name: name, life: life, bad: map[int]bool{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.receive))
	s.Config.ConnState = s.count
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// The number of an event, as the contracts tell it: in the data, or the ids of
// the entity.
var numberIn = regexp.MustCompile(`"number":(\d+)|"ids":\[(\d+)\]`)

// notified reads a notification. What is none it answers: a challenge, a welcome,
// or one that was cut off because the program was killed.
func notified(w http.ResponseWriter, r *http.Request) (n notification, ok bool) {
	if r.Method == http.MethodGet {
		_, _ = fmt.Fprintf(w, `{"verification":%q,"challenge":%q}`, r.Header.Get("x-fic-verification-challenge"), r.Header.Get("webhook-challenge"))
		return n, false
	}
	body, err := io.ReadAll(r.Body)
	found := numberIn.FindSubmatch(body)
	if err != nil || found == nil {
		return n, false
	}
	n.number, _ = strconv.Atoi(string(found[1]) + string(found[2]))
	n.id = cmp.Or(r.Header.Get("webhook-id"), r.Header.Get("ce-id")) // the latter is Fatture in Cloud's
	return n, true
}

func (s *sink) receive(w http.ResponseWriter, r *http.Request) {
	n, ok := notified(w, r)
	if !ok {
		return
	}
	if n.number%9 == 4 {
		pause(30 * time.Millisecond) // so that something is in flight when the program is killed
	}
	if !s.take(n) {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// take notes a notification, unless it is to fail for once.
func (s *sink) take(n notification) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.number%50 == 1 && !s.bad[n.number] && !s.slow {
		s.bad[n.number] = true
		return false
	}
	n.life = s.life()
	s.got = append(s.got, n)
	return true
}

func (s *sink) count(_ net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.open++
	case http.StateClosed, http.StateHijacked:
		s.open--
	}
}

// subscribe has the sink hear events of a company under the native contract,
// or the one that the wish names.
func subscribe(t *testing.T, p *program, s *sink, company int, wish map[string]any) {
	t.Helper()
	wish["sink"] = s.URL
	wish["schedule"] = slices.Repeat([]int{1}, 20) // seconds
	if wish["contract"] == nil {
		wish["handshake"] = "none"
	}
	path := fmt.Sprintf("/v1/companies/%d/subscriptions", company)
	if err := p.call("POST", path, p.token(t, company), wish, nil); err != nil {
		t.Fatal(err)
	}
}

// all gives what the sink has received and answered with success, in order.
func (s *sink) all() []notification {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// missing gives the numbers of the events that it hears and has not received.
func (s *sink) missing(accepted []event, hears func(event) bool) (numbers []int) {
	got := map[int]bool{}
	for _, n := range s.all() {
		got[n.number] = true
	}
	for _, e := range accepted {
		if hears(e) && !got[e.number] {
			numbers = append(numbers, e.number)
		}
	}
	return numbers
}

// settle waits until everything has been received that a program sent which has
// ended since: its connections are taken in order, so that those before one of
// our own are all there, and then they end.
func (s *sink) settle(t *testing.T) {
	t.Helper()
	own := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	r, err := own.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	quiet := eventually(func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.open == 0
	})
	if !quiet {
		t.Fatalf("connections of a program that has ended stay open at %s", s.name)
	}
}

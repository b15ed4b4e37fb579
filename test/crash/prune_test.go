package crash_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A program that deletes what is past its retention twenty times in a second,
// and not once in an hour.
func TestNothingIsLostWhenTheProgramIsKilledWhileItDeletes(t *testing.T) {
	t.Parallel()
	random := newRandom(t)
	tidy := buildChanged(t, "internal/engine/house.go", "pruneEvery = time.Hour", "pruneEvery = 50 * time.Millisecond")
	dir := t.TempDir()
	p := newProgram(t, tidy, dir, "--retention", "1s")
	p.start(t)
	s := newSink(t, "all", func() int { return 0 })
	subscribe(t, p, s, 1, map[string]any{"types": []string{"*"}, "ordering": "entity"})

	pub := &publisher{program: p}
	stopped := make(chan struct{})
	var publishers sync.WaitGroup
	for range 4 {
		publishers.Go(func() { pub.run(stopped) })
	}
	for range *rounds {
		pause(time.Duration(500+random.IntN(1000)) * time.Millisecond)
		p.kill()
		p.start(t)
	}
	close(stopped)
	publishers.Wait()

	// What was pending was not deleted, however old it was,
	hears := func(e event) bool { return e.company == 1 }
	if !dwindles(func() int { return len(s.missing(pub.accepted(), hears)) }) {
		t.Errorf("accepted events were never delivered: %v", s.missing(pub.accepted(), hears))
	}
	// what was deleted is said to be,
	deleted := eventually(func() bool {
		err := p.call("GET", "/v1/companies/1/events?after=1", admin, nil, nil)
		refused, ok := errors.AsType[*refusal](err)
		return ok && refused.status == http.StatusGone
	})
	if !deleted {
		t.Error("nothing was deleted")
	}
	// and no seq is given a second time.
	last := int64(0)
	for _, e := range pub.accepted() {
		if e.company == 1 {
			last = max(last, e.seq)
		}
	}
	e := event{number: 1_000_000, company: 1, typ: customers}
	if answer, err := pub.post(&e); err != nil || e.seq <= last {
		t.Errorf("the next event after seq %d has %d: %v, %v", last, e.seq, answer, err)
	}
	if err := errors.Join(p.stop(), checkFile(filepath.Join(dir, "fattorino.db"))); err != nil {
		t.Error(err)
	}
	t.Logf("%d events accepted, %d kills", len(pub.accepted()), *rounds)
}

package crash_test

import (
	"errors"
	"net/http"
	"os"
	"syscall"
	"testing"
)

func TestAFullDiskRefusesAndGoesOnByItselfWhenThereIsRoom(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a small file system can be mounted by root only")
	}
	// Given the program on a file system of 6 MiB, and a subscriber,
	p := newProgram(t, binary, t.TempDir())
	if err := syscall.Mount("tmpfs", p.dir, "tmpfs", 0, "size=6m,mode=0700"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		p.kill()
		if err := syscall.Unmount(p.dir, 0); err != nil {
			t.Error(err)
		}
	})
	p.start(t)
	heard := newSink(t, "all", func() int { return 0 })
	subscribe(t, p, heard, 1, map[string]any{"types": []string{"*"}})

	// when events are published until the disk is full,
	pub := &publisher{program: p}
	large := func(number int) event { return event{number: number, company: 1, typ: customers, padding: 20_000} }
	try := func(e *event) *http.Response {
		answer, err := pub.post(e)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	var refusal *http.Response
	for number := 2; refusal == nil && number < 1000; number++ {
		e := large(number)
		switch answer := try(&e); answer.StatusCode {
		case http.StatusAccepted:
			pub.done = append(pub.done, e)
		case http.StatusServiceUnavailable:
			refusal = answer
		default:
			t.Fatalf("publish: %s", answer.Status)
		}
	}

	// then the publisher is told so, with the time to try again,
	if refusal == nil || refusal.Header.Get("Retry-After") == "" || refusal.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("answer of a full disk: %+v, want 503 with Retry-After", refusal)
	}
	// reading goes on,
	if err := p.checkHistory(1, pub.accepted()); err != nil {
		t.Error(err)
	}
	// and when there is room again, so does everything else, without a restart.
	if err := syscall.Mount("", p.dir, "", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	again := large(5000)
	if !eventually(func() bool { return try(&again).StatusCode == http.StatusAccepted }) {
		t.Fatalf("nothing is accepted though there is room again:\n%s", p.log.String())
	}
	pub.done = append(pub.done, again)
	all := func(event) bool { return true }
	if eventually(func() bool { return len(heard.missing(pub.accepted(), all)) == 0 }); len(heard.missing(pub.accepted(), all)) > 0 {
		t.Errorf("%d events accepted, of which were not delivered: %v", len(pub.accepted()), heard.missing(pub.accepted(), all))
	}
	t.Logf("%d events accepted", len(pub.accepted()))
	if err := errors.Join(p.checkHistory(1, pub.accepted()), p.stop()); err != nil {
		t.Error(err)
	}
}

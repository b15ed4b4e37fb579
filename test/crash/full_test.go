package crash_test

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAFullDiskRefusesAndGoesOnByItselfWhenThereIsRoom(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a small file system can be mounted by root only")
	}
	// Given the program on a file system of 6 MiB, and a subscriber,
	p := newProgram(t)
	if err := syscall.Mount("tmpfs", p.dir, "tmpfs", 0, "size=6m,mode=0700"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
		if err := syscall.Unmount(p.dir, 0); err != nil {
			t.Error(err)
		}
	})
	p.start(t)
	invoices := newSink(t)
	p.subscribe(t, invoices, heard)

	// when events are published until the disk is full,
	pub := &publisher{program: p}
	padding := strings.Repeat("x", 20_000)
	var refusal *http.Response
	for number := 2; refusal == nil && number < 1000; number++ {
		e := acceptedEvent{number: number, typ: heard}
		answer, seq := pub.try(t, e, padding)
		switch answer.StatusCode {
		case http.StatusAccepted:
			e.seq = seq
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
	p.checkHistory(t, pub.accepted())
	// and when there is room again, so does everything else, without a restart.
	if err := syscall.Mount("", p.dir, "", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	again := acceptedEvent{number: 5000, typ: heard}
	written := eventually(30*time.Second, func() bool {
		answer, seq := pub.try(t, again, padding)
		again.seq = seq
		return answer.StatusCode == http.StatusAccepted
	})
	if !written {
		t.Fatalf("nothing is accepted though there is room again:\n%s", p.log.String())
	}
	pub.done = append(pub.done, again)
	arrived := eventually(30*time.Second, func() bool {
		for _, e := range pub.accepted() {
			if invoices.times(e.number) == 0 {
				return false
			}
		}
		return true
	})
	if !arrived {
		t.Errorf("%d events accepted, %d delivered", len(pub.accepted()), invoices.total())
	}
	p.checkHistory(t, pub.accepted())
	t.Logf("%d events accepted", len(pub.accepted()))
	p.stop(t)
}

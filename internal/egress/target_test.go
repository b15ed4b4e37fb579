package egress

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Given sinks that were called, when more come than are remembered, then each
// is read as it is, and no more are kept than may be.
func TestTargetsAreReadTheSameAgain(t *testing.T) {
	t.Parallel()
	sinks, now := &targets{}, time.Now()
	for round := range 2 {
		for i := range maxTargets + 2 {
			sink := fmt.Sprintf("https://sink.example:8443/hooks/%d?key=%d", i, i)
			got, err := sinks.read(sink, now)
			if err != nil {
				t.Fatal(err)
			}
			if path := sink[len("https://sink.example:8443"):]; got.path != path || got.field != "sink.example:8443" || got.origin != (origin{"https", "sink.example:8443"}) {
				t.Fatalf("round %d: %s is read as %+v", round, sink, got)
			}
		}
	}
	if len(sinks.known) > maxTargets {
		t.Errorf("%d are kept, want %d at most", len(sinks.known), maxTargets)
	}
}

// Given a sink that cannot be called, when it is read again, then it is refused
// again, and nothing is kept of it.
func TestTargetsKeepNothingThatIsRefused(t *testing.T) {
	t.Parallel()
	sinks, now := &targets{}, time.Now()
	for range 2 {
		for _, sink := range []string{"http://sink.example/", "https://", "https://sink.example/a?b c", "https://sink.example/%zz"} {
			if _, err := sinks.read(sink, now); err == nil {
				t.Errorf("%s is not refused", sink)
			}
		}
	}
	if len(sinks.known) > 0 {
		t.Errorf("kept: %v", sinks.known)
	}
}

// Given targets that are remembered, when their time is over, then nothing is
// left of them once another is called; and of long URLs nothing is remembered.
func TestTargetsAreForgotten(t *testing.T) {
	t.Parallel()
	sinks, now := &targets{}, time.Now()
	read := func(sink string) {
		t.Helper()
		if _, err := sinks.read(sink, now); err != nil {
			t.Fatal(err)
		}
	}
	read("https://sink.example/?key=secret")
	read("https://sink.example/" + strings.Repeat("x", longestTarget))
	if len(sinks.known) != 1 {
		t.Errorf("%d are remembered, want the short one", len(sinks.known))
	}
	now = now.Add(targetsKeptFor)
	read("https://sink.example/other")
	if _, there := sinks.known["https://sink.example/?key=secret"]; there {
		t.Error("it is remembered still")
	}
}

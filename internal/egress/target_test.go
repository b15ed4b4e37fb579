package egress

import (
	"fmt"
	"testing"
)

// Given sinks that were called, when more come than are remembered, then each
// is read as it is, and no more are kept than may be.
func TestTargetsAreReadTheSameAgain(t *testing.T) {
	t.Parallel()
	sinks := &targets{}
	for round := range 2 {
		for i := range maxTargets + 2 {
			sink := fmt.Sprintf("https://sink.example:8443/hooks/%d?key=%d", i, i)
			got, err := sinks.read(sink)
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
	sinks := &targets{}
	for range 2 {
		for _, sink := range []string{"http://sink.example/", "https://", "https://sink.example/a?b c", "https://sink.example/%zz"} {
			if _, err := sinks.read(sink); err == nil {
				t.Errorf("%s is not refused", sink)
			}
		}
	}
	if len(sinks.known) > 0 {
		t.Errorf("kept: %v", sinks.known)
	}
}

package simulation_test

import (
	"strings"
	"sync"
	"testing"
)

// What has come about tells whether the seeds prove anything: rules about what
// never happens are never broken.
func toMeet() []string {
	return []string{
		"delivered", "discarded exhausted", "discarded refused", "discarded gone", "discarded superseded", "discarded unfit", "waiting",
		"crash", "stop", "clock set forwards", "clock set backwards",
		"changed in flight: disabled", "changed in flight: active", "changed in flight: unverified", "changed in flight: deleted",
		"restored", "deleted for good", "consent at once", "consent later", "consent too late", "paced",
		"signed by two secrets", "key rotated",
		"events pruned", "events past their retention with something pending",
	}
}

// meetings count what has come about in all seeds.
type meetings struct {
	mu   sync.Mutex
	seen map[string]int
}

func (m *meetings) add(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[what]++
}

// check fails the test when something has never come about.
func (m *meetings) check(t *testing.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var missing []string
	for _, what := range toMeet() {
		if m.seen[what] == 0 {
			missing = append(missing, what)
		}
	}
	if len(missing) > 0 {
		t.Errorf("in none of the seeds there was: %s. What is about that is not proved", strings.Join(missing, ", "))
	}
}

package crash_test

import "testing"

// lanes is how many attempts of one subscription are in flight at most.
const lanes = 8

// check checks what a subscriber has received: only what it hears; the same
// again only where it was in flight when the program was killed, and under the
// same id; and in order where it is ordered.
func (s *subscriber) check(t *testing.T, accepted []event, graceful []bool) {
	t.Helper()
	events := map[int]event{}
	for _, e := range accepted {
		events[e.number] = e
	}
	latest := map[int]notification{}
	ids := map[string]int{}
	again := map[int]int{}     // by life that was cut off
	last := map[string]event{} // by what is in order among itself
	for _, n := range s.all() {
		e, known := events[n.number]
		if !known {
			continue // published at the very end: its publisher never heard
		}
		if !s.hears(e) {
			t.Errorf("%s: received event %d, of %s", s.name, n.number, e.typ)
		}
		before, repeated := latest[n.number]
		latest[n.number] = n
		switch {
		case !repeated:
			if other := ids[n.id]; other != 0 || n.id == "" {
				t.Errorf("%s: events %d and %d have the id %q", s.name, other, n.number, n.id)
			}
			ids[n.id] = n.number
		case n.id != before.id:
			t.Errorf("%s: event %d came with the ids %s and %s", s.name, n.number, before.id, n.id)
		case n.life == before.life:
			t.Errorf("%s: event %d came again in the same life", s.name, n.number)
		case graceful[before.life]:
			t.Errorf("%s: event %d came again though the program was stopped gracefully", s.name, n.number)
		default:
			again[before.life]++
		}
		if s.ordered != nil {
			of := s.ordered(e)
			if e.seq < last[of].seq {
				t.Errorf("%s: %s: event %d with seq %d came after seq %d", s.name, of, n.number, e.seq, last[of].seq)
			}
			last[of] = e
		}
	}
	for _, n := range again {
		if n > s.unwritten() {
			t.Errorf("%s: %d notifications of one life came again, want at most %d", s.name, n, s.unwritten())
		}
	}
}

// unwritten bounds the notifications that were answered and whose answers were
// not written when the program was killed: those in flight, and those answered
// while the last transaction was under way, which takes its time on a slow
// disk. What is ordered is written before the next one is sent.
func (s *subscriber) unwritten() int {
	const entities = 7 // of invoices
	switch s.name {
	case "native strict":
		return 1
	case "native by entity":
		return entities
	}
	return 16 * lanes
}

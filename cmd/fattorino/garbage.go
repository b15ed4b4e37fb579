package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leastGarbage is how many bytes may be allocated between two collections,
// however small the heap. Go lets a heap grow by as much as was left in it: a
// server of a few MiB that is busy would collect dozens of times a second, for
// a tenth of its processor time.
const leastGarbage = 32 << 20

// collectLess has collections leastGarbage apart or more, in memory and not in
// time. A heap greater than that grows as Go has it by default.
func collectLess() {
	setGCPercent(gcPercent(liveHeap()))
	runtime.AddCleanup(new(collected), func(struct{}) { collectLess() }, struct{}{})
}

// collected is what nobody holds: it goes with the next collection.
type collected struct{ _ *int }

// gcPercent gives by how many hundredths a heap of which so many bytes are in
// use may grow: GOGC. It is bounded, for more may be in use at the end of the
// next collection, of which the program hears a little later.
func gcPercent(live uint64) int {
	return min(max(100, int(100*leastGarbage/max(live, 1))), 300)
}

// setGCPercent spares the program the short stop that a change is when it would
// change little.
func setGCPercent(percent int) {
	const name = "/gc/gogc:percent"
	is := []metrics.Sample{{Name: name}}
	metrics.Read(is)
	if now := int(is[0].Value.Uint64()); percent*10 < now*9 || percent*10 > now*11 {
		debug.SetGCPercent(percent)
	}
}

// liveHeap gives how many bytes the last collection left.
func liveHeap() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return live[0].Value.Uint64()
}

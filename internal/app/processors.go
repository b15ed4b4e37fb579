package app

import (
	"math"
	runtimemetrics "runtime/metrics"
	"slices"
	"time"
)

// newProcessorWait gives a function that tells how long goroutines that could
// run have waited for a processor, on average, since it was last called. It is
// not for several goroutines.
func newProcessorWait() func() time.Duration {
	waits := []runtimemetrics.Sample{{Name: "/sched/latencies:seconds"}}
	var before []uint64 // as it was, by bucket
	return func() time.Duration {
		runtimemetrics.Read(waits)
		now := waits[0].Value.Float64Histogram()
		if before == nil {
			before = make([]uint64, len(now.Counts))
		}
		count, sum := uint64(0), 0.0
		for i, n := range now.Counts {
			longest := now.Buckets[i+1]
			if math.IsInf(longest, 1) {
				longest = now.Buckets[i]
			}
			count += n - before[i]
			sum += float64(n-before[i]) * longest
		}
		before = slices.Replace(before, 0, len(before), now.Counts...)
		return time.Duration(sum / float64(max(count, 1)) * float64(time.Second))
	}
}

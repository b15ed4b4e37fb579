package app

import (
	"runtime"
	"sync"
	"testing"
)

// Given more goroutines that want to run than there are processors, then they
// have waited.
func TestProcessorWait(t *testing.T) {
	wait := newProcessorWait()
	wait()
	var all sync.WaitGroup
	for range 100 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for range 50 {
				runtime.Gosched()
			}
		})
	}
	all.Wait()
	if waited := wait(); waited <= 0 {
		t.Errorf("goroutines have waited for %v on average", waited)
	}
}

package egress

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Given exchanges under way, some under one context, others under their own and
// one under another, when the first ends, then its exchanges end, and the others
// go on; and none begins under it any more.
func TestAContextEndsItsExchanges(t *testing.T) {
	t.Parallel()
	var there atomic.Int32
	answer := make(chan struct{})
	sink := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		there.Add(1)
		<-answer
	}))
	t.Cleanup(sink.Close)
	client := NewClient(Policy{Dev: true}, Options{})
	t.Cleanup(client.Close)
	send := func(ctx context.Context) *fattorino.Answer {
		return client.Send(ctx, &fattorino.Request{Method: "POST", URL: sink.URL})
	}

	ending, end := context.WithCancel(t.Context())
	defer end()
	own, release := context.WithTimeout(ending, Options{}.withDefaults().TotalTimeout)
	defer release()
	var cut, whole [3]*fattorino.Answer
	var cutting, going sync.WaitGroup
	for i, ctx := range []context.Context{ending, ending, own} {
		cutting.Go(func() { cut[i] = send(ctx) })
	}
	for i := range whole {
		going.Go(func() { whole[i] = send(t.Context()) })
	}
	until(t, func() bool { return there.Load() == 6 })
	end()
	cutting.Wait()
	close(answer)
	going.Wait()

	for _, a := range cut {
		if a.Failure != fattorino.FailedTimeout {
			t.Errorf("an exchange under the context that ended: status %d, %q", a.Status, a.Failure)
		}
	}
	for _, a := range whole {
		if a.Status != http.StatusOK {
			t.Errorf("an exchange under another: status %d, %q", a.Status, a.Detail)
		}
	}
	if a := send(ending); a.Failure != fattorino.FailedTimeout || there.Load() != 6 {
		t.Errorf("one begun after the end: status %d, %q, and the sink was called %d times", a.Status, a.Failure, there.Load())
	}
}

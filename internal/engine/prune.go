package engine

import (
	"context"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// pruneEvery is the time between two looks for events past their retention.
const pruneEvery = time.Hour

// pruneStep is how many events one transaction looks at: few, so that what
// comes in meanwhile hardly waits.
const pruneStep = 200

// pruneNowAndThen deletes what is past its retention, until the program stops.
func (e *Engine) pruneNowAndThen() {
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			e.prune(time.Now().Add(-e.retention))
			timer.Reset(pruneEvery)
		case <-e.stopping:
			return
		}
	}
}

// prune deletes the events accepted before the time whose deliveries are
// settled, in small steps.
func (e *Engine) prune(before time.Time) {
	total := 0
	for after := int64(0); ; {
		var last int64
		var deleted int
		err := e.Update(context.Background(), func(tx fattorino.Tx) (err error) {
			last, deleted, err = tx.Prune(before, after, pruneStep)
			return err
		})
		if err != nil {
			e.log.Error("events past their retention could not be deleted: trying again within the hour", "error", err)
			return
		}
		total += deleted
		if after = last; last == 0 {
			break
		}
	}
	if total > 0 {
		e.log.Info("deleted events past their retention", "events", total)
	}
}

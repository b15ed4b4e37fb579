package engine

import (
	"context"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// pruneEvery is the time between two looks for events past their retention.
const pruneEvery = time.Hour

// firstPrune is how long after the start the first one is: soon, so that a
// program that is restarted every day prunes as well, and not while it is busy
// with what has piled up.
const firstPrune = pruneEvery / 12

// pruneStep is how many events one transaction looks at: few, so that what
// comes in meanwhile hardly waits.
const pruneStep = 200

// keepHouse ends subscriptions whose time is over and deletes what is past its
// retention, until the program stops.
func (e *Engine) keepHouse() {
	prune := time.NewTimer(firstPrune)
	defer prune.Stop()
	end := time.NewTimer(longestSleep)
	defer end.Stop()
	for {
		end.Reset(e.untilNextEnd())
		select {
		case <-end.C:
			e.endOverdue(time.Now())
		case <-e.endsChanged:
		case <-prune.C:
			if e.dispatcher.servesPart(0) { // one process does it for all
				e.tidy(time.Now())
			}
			prune.Reset(pruneEvery)
		case <-e.stopping:
			return
		}
	}
}

// untilNextEnd gives the time until the next subscription ends, or is to be
// looked at again: a second at least, for one that could not be ended.
func (e *Engine) untilNextEnd() time.Duration {
	next, found := e.index.nextEnd()
	if !found {
		return pruneEvery
	}
	return min(pruneEvery, max(time.Until(next), time.Second))
}

// endOverdue ends the subscriptions whose time is over: those whose date of
// expiry has come without having been renewed, and, for good, those that could be
// restored until now.
func (e *Engine) endOverdue(now time.Time) {
	for _, id := range e.index.over(now) {
		s := e.index.get(id)
		if s == nil || (!s.State.Gone() && !e.dispatcher.servesPart(e.partOf(s.Company))) {
			continue // another process ends it; of one that is gone, none but this one may know
		}
		err := e.Update(context.Background(), func(tx fattorino.Tx) error {
			found, err := tx.Subscription(id)
			if err != nil {
				return err
			}
			s := found.Clone()
			s.EndOverdue(now)
			return tx.PutSubscription(s) // as it is, too: what is in force here may be older
		})
		if err != nil {
			e.log.Error("a subscription whose time is over could not be ended: trying again", "subscription", id, "error", err)
		}
	}
}

// tidy deletes what is past its retention, and keeps statistics small.
func (e *Engine) tidy(now time.Time) {
	e.tidyTallies(func(tx fattorino.Tx) (bool, error) {
		return tx.RollTallies(now.Add(-fattorino.MinutesKept))
	})
	if e.retention == 0 {
		return
	}
	before := now.Add(-e.retention)
	e.tidyTallies(func(tx fattorino.Tx) (bool, error) { return tx.PruneTallies(before) })
	e.prune(before)
}

// tidyTallies takes steps until there is nothing more to do, or the program
// stops.
func (e *Engine) tidyTallies(step func(fattorino.Tx) (more bool, err error)) {
	for more := true; more; {
		err := e.Update(context.Background(), func(tx fattorino.Tx) (err error) {
			more, err = step(tx)
			return err
		})
		if err != nil {
			e.log.Error("old statistics could not be added up or deleted: trying again within the hour", "error", err)
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

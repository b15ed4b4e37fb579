package native

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// What a subscriber may choose of batches, and what it has where it chose
// nothing.
const (
	maxBatch      = 1000 // events
	defaultBatch  = 100
	maxLinger     = time.Minute
	defaultLinger = time.Second
)

var _ fattorino.Batcher = (*Contract)(nil)

// Batch gives, for the format batch, the size that was chosen or 100 events,
// and the wait that was chosen or one second. Any other format tells of each
// event by itself.
func (c *Contract) Batch(s *fattorino.Subscription) (size int, linger time.Duration) {
	if s.Format != fattorino.Batched {
		return 1, 0
	}
	size, linger = s.Options.BatchSize, s.Options.BatchLinger
	if size == 0 {
		size = defaultBatch
	}
	if linger == 0 {
		linger = defaultLinger
	}
	return size, linger
}

// BatchNotification builds the POST that tells of the events together: a JSON
// array of them in structured mode (CloudEvents HTTP binding 1.0.2, section
// 3.3), whole or thin, each with the attributes that [Contract.Notification]
// gives it.
//
// The webhook-id is that of the set: the same events together have the same,
// in whatever order, and other events another. A batch that failed may come
// again in other sets, so that it is by source and id that a subscriber knows
// an event that it has had.
func (c *Contract) BatchNotification(s *fattorino.Subscription, events []*fattorino.Event, now time.Time) (*fattorino.Request, error) {
	told := make([]*fattorino.Event, len(events))
	size := 2
	for i, e := range events {
		told[i] = c.shown(wayOf(s, e))
		size += 512 + len(told[i].Data)
	}
	body := cloudevents.AppendBatch(make([]byte, 0, size), told)
	return c.request(s, batchID(s.ID, events), body, now, contentType(cloudevents.BatchType))
}

// batchID gives the webhook-id of a batch: a hash of those that its events
// would have alone.
func batchID(subscription int64, events []*fattorino.Event) string {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = messageID(subscription, eventID(e))
	}
	slices.Sort(ids)
	h := sha256.New()
	for _, id := range ids {
		h.Write([]byte(id)) // never fails; each has the same length
	}
	return webhookID("batch_", subscription, idText(h.Sum(nil)[:16]))
}

// checkBatch holds the choices for batches to their bounds, and to the format
// that has them.
func (f *faults) checkBatch(n *fattorino.NewSubscription) {
	o := &n.Options
	if n.Format != fattorino.Batched {
		if o.BatchSize != 0 {
			f.add("batch_size", "only the format batch has a batch size")
		}
		if o.BatchLinger != 0 {
			f.add("batch_linger", "only the format batch waits for other events")
		}
		return
	}
	if o.Ordering.Keeps() {
		f.add("ordering", "the format batch cannot be ordered: a batch that fails comes again as a whole")
	}
	if o.BatchSize < 0 || o.BatchSize > maxBatch {
		f.add("batch_size", "%d events are not within 1 to %d", o.BatchSize, maxBatch)
	}
	if o.BatchLinger < 0 || o.BatchLinger > maxLinger {
		f.add("batch_linger", "%v is longer than %v, or negative", o.BatchLinger, maxLinger)
	}
}

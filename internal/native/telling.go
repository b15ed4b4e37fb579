package native

import (
	"encoding/base32"
	"strconv"
	"sync/atomic"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A telling is what is said of an event to all who hear of it in the same way:
// with many subscriptions, or many that catch up side by side, it is made once.
type telling struct {
	way    way
	id     string // of the event, in webhook-ids
	header []fattorino.Header
	body   []byte
}

// A way is all that a telling depends on.
type way struct {
	event         *fattorino.Event
	format        fattorino.Format
	asNamed, thin bool
}

// wayOf gives the way in which the subscription hears of the event.
func wayOf(s *fattorino.Subscription, e *fattorino.Event) way {
	return way{event: e, format: s.Format, asNamed: named(s.Types, e.Type), thin: s.Options.Thin}
}

// How many tellings are kept, and the data of how many bytes they may have.
const (
	maxTellings   = 512
	maxSharedData = 4 << 10
)

// tellings are the latest, each in a place that its event gives it.
type tellings [maxTellings]atomic.Pointer[telling]

// place gives the one where that of an event is, if it is kept.
func (all *tellings) place(e *fattorino.Event) *atomic.Pointer[telling] {
	const apart = 0x9e3779b97f4a7c15 // companies whose seqs are the same
	return &all[(uint64(e.Seq)+uint64(e.Company)*apart>>32)%maxTellings]
}

// telling gives what the subscription is told of an event, which must not change
// afterwards.
func (c *Contract) telling(s *fattorino.Subscription, e *fattorino.Event) *telling {
	in, place := wayOf(s, e), c.tellings.place(e)
	if known := place.Load(); known != nil && known.way == in {
		return known
	}
	told := c.tell(in)
	if len(e.Data) <= maxSharedData {
		place.Store(told)
	}
	return told
}

// tell makes a telling.
func (c *Contract) tell(in way) *telling {
	t := &telling{way: in, id: eventID(in.event)}
	shown := c.shown(in)
	if in.format == fattorino.Standard {
		t.header, t.body = []fattorino.Header{contentType(jsonType)}, standardBody(shown)
	} else {
		t.header, t.body = message(in.format, shown)
	}
	return t
}

// eventID gives what an event has in a webhook-id: no choice of the producer
// (SW-4).
func eventID(e *fattorino.Event) string {
	digest := e.Digest()
	return idText(digest[:])
}

// messageID gives the webhook-id of what a subscription is told of an event.
func messageID(subscription int64, event string) string {
	return webhookID("msg_", subscription, event)
}

// webhookID gives the webhook-id of what a subscription is told.
func webhookID(prefix string, subscription int64, what string) string {
	id := strconv.AppendInt(append(make([]byte, 0, 64), prefix...), subscription, 10)
	return string(append(append(id, '_'), what...))
}

// idText gives a hash as it stands in a webhook-id.
func idText(hash []byte) string {
	return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(hash)
}

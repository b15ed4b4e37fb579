package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// How much is read of what others have written, at once: events can be large.
const (
	maxArrivedEvents     = 256
	maxArrivedDeliveries = 1024
	maxArrivedDays       = 4
)

// reaches are spans of a day, column by column.
type reaches struct {
	part        []int16
	after, upTo []int64
}

// reach divides spans into what the same statements read: those of a day, and
// where the parts are spread, each by itself. It gives none where one goes over
// many days, as after a holiday.
func (s *Store) reach(spans []fattorino.Span) map[int][]*reaches {
	byDay := map[int][]*reaches{}
	for _, one := range spans {
		first, last := s.layout.dayOf(one.From), s.layout.dayOf(one.To)
		if last-first >= maxArrivedDays {
			return nil
		}
		for day := first; day <= last; day++ {
			if s.spread || byDay[day] == nil {
				byDay[day] = append(byDay[day], &reaches{})
			}
			r := byDay[day][len(byDay[day])-1]
			r.part, r.after, r.upTo = append(r.part, int16(one.Part)), append(r.after, one.From), append(r.upTo, one.To)
		}
	}
	return byDay
}

// Arrived implements [fattorino.Shared], in one round trip where it is not too
// much.
func (s *Store) Arrived(ctx context.Context, spans []fattorino.Span) ([]*fattorino.Delivery, map[int64]int64, error) {
	deliveries, whole, err := s.readArrived(ctx, s.reach(spans))
	if err == nil && !whole {
		last, err := s.lastArrived(ctx, spans)
		return nil, last, err
	}
	return deliveries, nil, err
}

// readArrived reads all of it, or tells that it cannot.
func (s *Store) readArrived(ctx context.Context, days map[int][]*reaches) (deliveries []*fattorino.Delivery, whole bool, err error) {
	if days == nil {
		return nil, false, nil
	}
	events := map[int64]*fattorino.Event{}
	var b pgx.Batch
	begin(&b)
	for day, all := range days {
		for _, r := range all {
			s.readEvents(&b, day, r, events)
			s.readDeliveries(&b, day, r, &deliveries)
		}
	}
	b.Queue(`COMMIT`)
	err = s.pool.SendBatch(ctx, &b).Close()
	if sqlState(err) == undefinedTable { // nothing was accepted on that day, or it was dropped since
		return nil, false, nil
	}
	if err != nil || len(events) >= maxArrivedEvents || len(deliveries) >= maxArrivedDeliveries {
		return nil, false, translate(err)
	}
	for _, d := range deliveries {
		if d.Event = events[d.Event.Key]; d.Event == nil {
			return nil, false, fmt.Errorf("the event of delivery %d is not there", d.ID)
		}
	}
	slices.SortFunc(deliveries, func(a, b *fattorino.Delivery) int { return cmp.Compare(a.ID, b.ID) })
	return deliveries, true, nil
}

// lastArrived gives the greatest id of each subscription's deliveries. It looks
// into the days in which something can have arrived.
func (s *Store) lastArrived(ctx context.Context, spans []fattorino.Span) (map[int64]int64, error) {
	last := map[int64]int64{}
	for _, one := range spans {
		for _, table := range tablesBetween(s.layout.dayOf(one.From), s.layout.dayOf(one.To)) {
			found, err := read(ctx, s, scanArrival, `SELECT subscription, max(id) FROM `+table+` WHERE part = $1 AND id > $2 AND id <= $3 GROUP BY subscription`, one.Part, one.From, one.To)
			if sqlState(err) == undefinedTable {
				continue // as above
			}
			if err != nil {
				return nil, err
			}
			for _, a := range found {
				last[a.subscription] = a.delivery
			}
		}
	}
	return last, nil
}

// tablesBetween names the tables of the deliveries of some days: that of all
// days where they are many.
func tablesBetween(first, last int) (tables []string) {
	if last-first >= maxArrivedDays {
		return []string{"deliveries"}
	}
	for day := first; day <= last; day++ {
		tables = append(tables, fmt.Sprintf("deliveries_%d", day))
	}
	return tables
}

type arrival struct{ subscription, delivery int64 }

func scanArrival(r record.Row) (a arrival, err error) {
	return a, r.Scan(&a.subscription, &a.delivery)
}

// readEvents reads those that anybody hears of.
func (s *Store) readEvents(b *pgx.Batch, day int, r *reaches, found map[int64]*fattorino.Event) {
	b.Queue(fmt.Sprintf(`SELECT `+record.EventColumns+` FROM `+s.spread.each(`after, upto`, `$2::bigint[], $3::bigint[]`)+`,
		LATERAL (SELECT * FROM events_%d WHERE part = `+s.spread.part()+` AND key > u.after AND key <= u.upto AND deliveries > 0 LIMIT %[2]d OFFSET 0) e LIMIT %[2]d`,
		day, maxArrivedEvents), s.spread.parts(r.part), r.after, r.upTo).
		Query(func(rows pgx.Rows) error {
			events, err := collect(rows, nil, record.ScanEvent)
			for _, e := range events {
				found[e.Key] = e
			}
			return err
		})
}

func (s *Store) readDeliveries(b *pgx.Batch, day int, r *reaches, found *[]*fattorino.Delivery) {
	b.Queue(fmt.Sprintf(`SELECT d.id, d.event, d.subscription FROM `+s.spread.each(`after, upto`, `$2::bigint[], $3::bigint[]`)+`,
		LATERAL (SELECT id, event, subscription FROM deliveries_%d
			WHERE part = `+s.spread.part()+` AND id > u.after AND id <= u.upto AND state = 0 AND due_at IS NULL LIMIT %[2]d OFFSET 0) d LIMIT %[2]d`,
		day, maxArrivedDeliveries), s.spread.parts(r.part), r.after, r.upTo).
		Query(func(rows pgx.Rows) error {
			var id, event, subscription int64
			_, err := pgx.ForEachRow(rows, []any{&id, &event, &subscription}, func() error {
				*found = append(*found, &fattorino.Delivery{ID: id, Subscription: subscription, Event: &fattorino.Event{Key: event}})
				return nil
			})
			return err
		})
}

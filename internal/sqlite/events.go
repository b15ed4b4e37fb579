package sqlite

import (
	"context"
	"database/sql/driver"
	"slices"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

const selectEvents = `SELECT ` + record.EventColumns + ` FROM events e WHERE e.company = ? AND e.seq > ? AND e.seq > 0 ORDER BY e.seq LIMIT ?`

// Events implements [fattorino.Reader].
func (s *Store) Events(ctx context.Context, q fattorino.EventQuery) ([]*fattorino.Event, error) {
	if len(q.Types) > 0 {
		return s.eventsOfTypes(ctx, q)
	}
	rows, err := s.read.QueryContext(ctx, selectEvents, q.Company, q.After, q.Limit)
	return collect(rows, err, record.ScanEvent)
}

const firstKey = `SELECT key FROM events WHERE company = ? AND seq > ? AND seq > 0 ORDER BY seq LIMIT 1`

// eventsOfTypes finds the keys of the page in the index, for each type by
// itself, and reads no more than that page.
func (s *Store) eventsOfTypes(ctx context.Context, q fattorino.EventQuery) ([]*fattorino.Event, error) {
	events := []*fattorino.Event{}
	err := s.snapshot(ctx, func(h *hot) error {
		first, err := numbers(h, firstKey, q.Company, q.After)
		if err != nil || len(first) == 0 {
			return err
		}
		keys, err := h.keysOfTypes(q, first[0])
		if err != nil {
			return err
		}
		return h.query(eventColumnsRead, func(row []driver.Value) error {
			e, err := eventOf(row)
			events = append(events, e)
			return err
		}, `SELECT `+record.EventColumns+` FROM events e WHERE e.key IN (SELECT value FROM json_each(?)) ORDER BY e.key`, record.ToJSON(record.OrEmpty(keys)))
	})
	return events, err
}

const unlistedFrom = `SELECT key FROM events NOT INDEXED WHERE company = ?1 AND seq > 0
	AND (type IN (SELECT value FROM json_each(?2)) OR common IN (SELECT value FROM json_each(?2)))
	AND key >= max(?3, 1 + (SELECT listed FROM ids)) ORDER BY key LIMIT ?4`

// keysOfTypes gives the keys of the company's first events of the types, from
// the key on.
func (h *hot) keysOfTypes(q fattorino.EventQuery, from int64) ([]int64, error) {
	all, err := numbers(h, unlistedFrom, q.Company, record.ToJSON(q.Types), from, int64(q.Limit))
	if err != nil {
		return nil, err
	}
	kinds, err := h.kinds(q.Company, q.Types)
	if err != nil {
		return nil, err
	}
	for _, k := range kinds {
		for _, by := range []int64{heardByNobody, heardBySome} {
			keys, err := group{q.Company, k, by}.up(h, from, q.Limit)
			if err != nil {
				return nil, err
			}
			all = append(all, keys...)
		}
	}
	slices.Sort(all)
	return all[:min(len(all), q.Limit)], nil
}

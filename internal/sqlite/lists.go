package sqlite

import (
	"database/sql/driver"
	"slices"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// Events are found by their type and entity in two tables. A commit writes a
// page of the file for each place that it touches in a table, so events are
// listed many at a time; those not yet listed are looked through.

// listEvery is how many events are listed at once.
const listEvery = 512

const (
	heard    = `iif(seq = 0, 2, deliveries > 0)`
	listKind = `INSERT INTO kinds SELECT company, common, type, ` + heard + `, key FROM events NOT INDEXED
		WHERE key > ? AND key <= ?`
	listEntity = `INSERT INTO entities SELECT company, entity, key FROM events NOT INDEXED
		WHERE key > ? AND key <= ? AND entity <> '' AND instr(entity, ',') = 0 AND deliveries > 0`
)

// list lists the events since the last time, once there are enough.
func (c *commit) list() error {
	if c.ids.event-c.ids.listed < listEvery {
		return nil
	}
	for _, query := range []string{listKind, listEntity} {
		if err := c.exec(query, c.ids.listed, c.ids.event); err != nil {
			return err
		}
	}
	c.ids.listed = c.ids.event
	return c.exec(`UPDATE ids SET listed = ?`, c.ids.listed)
}

const entityInto = `INSERT OR IGNORE INTO entities (company, entity, event) VALUES `

// eachOfSeveral gives the entities of an event that is about several; they are
// listed with the event itself. Like the list of the others it goes by the
// comma.
func eachOfSeveral(e fattorino.Entity) []string {
	if !strings.Contains(e.String(), ",") {
		return nil
	}
	each := make([]string, len(e.IDs))
	for i, id := range e.IDs {
		each[i] = e.Type + "/" + id
	}
	return each
}

// unlist takes an event off the lists.
func (t *tx) unlist(key int64) error {
	_, err := t.exec(`DELETE FROM kinds WHERE (company, common, type, heard, event) =
		(SELECT company, common, type, `+heard+`, key FROM events WHERE key = ?)`, key)
	if err != nil {
		return err
	}
	var company int64
	var text string
	if err := t.tx.QueryRowContext(t.ctx, `SELECT company, entity FROM events WHERE key = ?`, key).Scan(&company, &text); err != nil || text == "" {
		return err
	}
	entity, err := fattorino.ParseEntity(text)
	if err != nil {
		return err
	}
	for _, one := range append(eachOfSeveral(entity), text) {
		if _, err := t.exec(`DELETE FROM entities WHERE company = ? AND entity = ? AND event = ?`, company, one, key); err != nil {
			return err
		}
	}
	return nil
}

const listedAbout = `SELECT event FROM entities WHERE company = ?1 AND entity = ?2 AND event >= ?3 AND event < ?4 ORDER BY event DESC LIMIT ?5`

const unlistedAbout = `SELECT key FROM events NOT INDEXED WHERE company = ?1 AND entity = ?2 AND deliveries > 0
	AND key >= max(?3, 1 + (SELECT listed FROM ids)) AND key < ?4 ORDER BY key DESC LIMIT ?5`

// aboutEntity gives the events that somebody heard about the entity, alone or
// with others of its type.
func (l *logSearch) aboutEntity(companies []int64) (streams []stream[int64]) {
	for _, company := range companies {
		for _, query := range []string{unlistedAbout, listedAbout} {
			streams = append(streams, func(in span, limit int) ([]int64, error) {
				return numbers(l, query, company, l.q.Entity, in.low, in.high, int64(limit))
			})
		}
	}
	return streams
}

const listedHeard = `SELECT event FROM kinds WHERE company = ?1 AND common = ?2 AND type = ?3 AND heard = ?4
	AND event >= ?5 AND event < ?6 ORDER BY event DESC LIMIT ?7`

const unlistedHeard = `SELECT key FROM events NOT INDEXED WHERE company = ?1 AND deliveries > 0
	AND (type IN (SELECT value FROM json_each(?2)) OR common IN (SELECT value FROM json_each(?2)))
	AND key >= max(?3, 1 + (SELECT listed FROM ids)) AND key < ?4 ORDER BY key DESC LIMIT ?5`

// ofTypes gives the events of the types that somebody heard.
func (l *logSearch) ofTypes(companies []int64) (streams []stream[int64], err error) {
	types := record.ToJSON(l.q.Types)
	for _, company := range companies {
		streams = append(streams, func(in span, limit int) ([]int64, error) {
			return numbers(l, unlistedHeard, company, types, in.low, in.high, int64(limit))
		})
		kinds, err := l.kinds(company, l.q.Types)
		if err != nil {
			return nil, err
		}
		for _, k := range kinds {
			for _, by := range []int64{1, 2} {
				streams = append(streams, func(in span, limit int) ([]int64, error) {
					return numbers(l, listedHeard, company, k.common, k.typ, by, in.low, in.high, int64(limit))
				})
			}
		}
	}
	return streams, nil
}

// kind is the type of events and the common name they were published under.
type kind struct{ common, typ string }

// The next type under a common name, and the first under the next one. In one
// comparison of both SQLite would go by the name alone, through all events of it.
const (
	nextType   = `SELECT common, type FROM kinds WHERE company = ? AND common = ? AND type > ? ORDER BY type LIMIT 1`
	nextCommon = `SELECT common, type FROM kinds WHERE company = ? AND common > ? ORDER BY common, type LIMIT 1`
)

// kinds gives those of the company's events that have one of the types, or
// stand for one as a common name. It skips from one to the next in the list.
func (h *hot) kinds(company int64, types []string) (all []kind, err error) {
	for k, more := (kind{}), true; more; {
		if k, more, err = h.nextKind(company, k); err != nil {
			return nil, err
		}
		if more && (slices.Contains(types, k.typ) || slices.Contains(types, k.common)) {
			all = append(all, k)
		}
	}
	return all, nil
}

// nextKind gives the kind that comes after one; false where there is none.
func (h *hot) nextKind(company int64, after kind) (next kind, found bool, err error) {
	read := func(row []driver.Value) error {
		next, found = kind{row[0].(string), row[1].(string)}, true
		return nil
	}
	err = h.query(2, read, nextType, company, after.common, after.typ)
	if err == nil && !found {
		err = h.query(2, read, nextCommon, company, after.common)
	}
	return next, found, err
}

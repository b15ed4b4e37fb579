package sqlite

import (
	"cmp"
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

// A listing is an event as it is listed.
type listing struct {
	group
	event  int64
	entity string // empty where the list of entities has it not, or has it by each of several
}

const heard = `iif(seq = 0, 2, deliveries > 0)`

const selectListings = `SELECT company, common, type, ` + heard + `, key, iif(deliveries > 0 AND instr(entity, ',') = 0, entity, '')
	FROM events NOT INDEXED WHERE key > ? AND key <= ?`

// listingOf gives how an event of a batch is listed.
func listingOf(e *fattorino.Event, targets []int64) listing {
	l := listing{group: group{company: e.Company, kind: kind{e.Common, e.Type}}, event: e.Key}
	if len(targets) > 0 {
		l.heard = heardBySome
		if text := e.Entity.String(); !strings.Contains(text, ",") {
			l.entity = text
		}
	}
	return l
}

// list lists the events since the last time, once there are enough.
func (c *commit) list() error {
	if c.ids.event-c.ids.listed < listEvery {
		return nil
	}
	all, err := c.toList()
	if err != nil {
		return err
	}
	if err := c.writeGroups(all); err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b listing) int {
		return cmp.Or(cmp.Compare(a.company, b.company), strings.Compare(a.entity, b.entity), cmp.Compare(a.event, b.event))
	})
	for _, l := range all {
		if l.entity != "" {
			c.bulks.entities.add(l.company, l.entity, l.event)
		}
	}
	if err := c.execBulk(c.bulks.entities); err != nil {
		return err
	}
	c.ids.listed = c.ids.event
	return c.exec(`UPDATE ids SET listed = ?`, c.ids.listed)
}

// toList gives the events that are not listed: from memory, if those are all.
func (c *commit) toList() ([]listing, error) {
	all := slices.Concat(c.unlisted, c.added) // a copy: the commit may fail
	if int64(len(all)) == c.ids.event-c.ids.listed {
		return all, nil
	}
	all = all[:0]
	err := c.query(6, func(row []driver.Value) error {
		all = append(all, listing{
			group: group{row[0].(int64), kind{row[1].(string), row[2].(string)}, row[3].(int64)}, event: row[4].(int64), entity: row[5].(string),
		})
		return nil
	}, selectListings, c.ids.listed, c.ids.event)
	return all, err
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

// unlist takes an event off the list of entities, and gives its listing.
func (t *tx) unlist(key int64) (l listing, err error) {
	l.event = key
	err = t.tx.QueryRowContext(t.ctx, `SELECT company, common, type, `+heard+`, entity FROM events WHERE key = ?`, key).
		Scan(&l.company, &l.common, &l.typ, &l.heard, &l.entity)
	if err != nil || l.entity == "" {
		return l, err
	}
	entity, err := fattorino.ParseEntity(l.entity)
	if err != nil {
		return l, err
	}
	for _, one := range append(eachOfSeveral(entity), l.entity) {
		if _, err := t.exec(`DELETE FROM entities WHERE company = ? AND entity = ? AND event = ?`, l.company, one, key); err != nil {
			return l, err
		}
	}
	return l, nil
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
			for _, by := range []int64{heardBySome, heardByItsOwn} {
				streams = append(streams, func(in span, limit int) ([]int64, error) {
					return group{company, k, by}.down(l, in, limit)
				})
			}
		}
	}
	return streams, nil
}

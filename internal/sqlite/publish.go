package sqlite

import (
	"bytes"
	"database/sql/driver"
	"maps"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// publishAll writes the events of all requests, and their deliveries.
func (c *commit) publishAll(publishes []*fattorino.Publish) error {
	if err := c.lookUp(publishes); err != nil {
		return err
	}
	for _, p := range publishes {
		if err := c.publish(p); err != nil {
			return err
		}
	}
	for _, b := range []*bulk{c.bulks.events, c.bulks.entities} {
		if err := c.execBulk(b); err != nil {
			return err
		}
	}
	return c.writeLanes()
}

// accepted is an event that has been accepted, before or in this batch.
type accepted struct {
	event   *fattorino.Event // of one accepted before: its identity and stamps
	content []byte
	next    *accepted // with the same hash of the id
}

// lookUp reads the events of the same hash of the id as one of the batch: those
// that the batch may repeat.
func (c *commit) lookUp(publishes []*fattorino.Publish) error {
	for _, p := range publishes {
		for _, e := range p.Events {
			idHash, _ := e.Hashes()
			if c.written.mayHave(idHash) {
				c.bulks.hashed.add(idHash)
			}
			c.recent.with(idHash, func(event int64) { c.bulks.accepted.add(event) })
		}
	}
	err := c.queryBulk(c.bulks.hashed, 1, func(row []driver.Value) error {
		c.bulks.accepted.add(row[0])
		return nil
	})
	if err != nil {
		return err
	}
	return c.queryBulk(c.bulks.accepted, 8, func(row []driver.Value) error {
		e := &fattorino.Event{
			Key: row[0].(int64), Seq: row[1].(int64), Accepted: record.FromMicros(row[2].(int64)),
			Company: row[3].(int64), Source: row[4].(string), ID: row[5].(string),
		}
		c.remember(row[6].(int64), &accepted{event: e, content: bytes.Clone(row[7].([]byte))})
		return nil
	})
}

func (c *commit) remember(idHash int64, a *accepted) {
	a.next = c.known[idHash]
	c.known[idHash] = a
}

// publish writes the events of one request, or, when one of them contradicts
// what is there, none.
func (c *commit) publish(p *fattorino.Publish) error {
	p.Err = nil
	p.First = make([]int64, len(p.Events))
	p.Repeated = make([]bool, len(p.Events))
	first := make([]*accepted, len(p.Events))
	for i, e := range p.Events {
		if first[i], p.Repeated[i] = c.accept(e); !p.Repeated[i] {
			continue
		}
		if _, content := e.Hashes(); !bytes.Equal(first[i].content, content) {
			p.Err = p.Contradiction(i)
			c.takeBack(p, first[:i])
			return nil
		}
	}
	for i, e := range p.Events {
		if p.Repeated[i] {
			before := first[i].event
			e.Key, e.Seq, e.Accepted = before.Key, before.Seq, before.Accepted
			continue
		}
		if err := c.stamp(e); err != nil {
			return err
		}
		p.First[i] = c.ids.delivery + 1
		hash, _ := e.Hashes()
		c.sweep.added = append(c.sweep.added, idHash{hash, e.Key})
		c.added = append(c.added, listingOf(e, p.Targets[i]))
		c.bulks.events.values = appendEvent(c.bulks.events.values, e, p.First[i], p.Targets[i])
		if len(p.Targets[i]) > 0 {
			for _, entity := range eachOfSeveral(e.Entity) {
				c.bulks.entities.add(e.Company, entity, e.Key)
			}
		}
		for _, subscription := range p.Targets[i] {
			c.ids.delivery++
			c.appendLane(ref{c.ids.delivery, e.Key, subscription})
		}
	}
	return nil
}

// accept gives the event that e repeats, or remembers e as the first.
func (c *commit) accept(e *fattorino.Event) (first *accepted, repeats bool) {
	idHash, content := e.Hashes()
	for a := c.known[idHash]; a != nil; a = a.next {
		if a.event.Company == e.Company && a.event.Source == e.Source && a.event.ID == e.ID {
			return a, true
		}
	}
	first = &accepted{event: e, content: content}
	c.remember(idHash, first)
	return first, false
}

// takeBack forgets the events of a request that is not written.
func (c *commit) takeBack(p *fattorino.Publish, first []*accepted) {
	for i := len(first) - 1; i >= 0; i-- {
		if idHash, _ := p.Events[i].Hashes(); !p.Repeated[i] {
			c.known[idHash] = first[i].next // those remembered after it are forgotten already
		}
	}
}

// stamp gives an event its Key, its Seq and the time.
func (c *commit) stamp(e *fattorino.Event) error {
	seq, err := c.lastSeq(e.Company)
	if err != nil {
		return err
	}
	c.ids.event++
	c.seqs[e.Company] = seq + 1
	e.Key, e.Seq, e.Accepted = c.ids.event, seq+1, record.FromMicros(c.ids.accepted)
	return nil
}

// seqs are the last Seq of companies, as far as they are known.
type seqs map[int64]int64

// maxSeqs is of how many companies it is known.
const maxSeqs = 4096

// with gives them with those that a commit has given.
func (s seqs) with(given seqs) seqs {
	if s == nil || len(s) > maxSeqs {
		s = seqs{}
	}
	maps.Copy(s, given)
	return s
}

// lastSeq gives the last Seq of a company, which is made where there is none.
func (c *commit) lastSeq(company int64) (seq int64, err error) {
	for _, known := range []seqs{c.seqs, c.last} {
		if seq, ok := known[company]; ok {
			return seq, nil
		}
	}
	found := false
	err = c.query(1, func(row []driver.Value) error {
		seq, found = row[0].(int64), true
		return nil
	}, `SELECT `+lastSeq+` FROM companies c WHERE id = ?`, company)
	if err != nil || found {
		return seq, err
	}
	return 0, c.exec(`INSERT INTO companies (id, created_at) VALUES (?, ?)`, company, c.ids.accepted)
}

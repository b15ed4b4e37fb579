package sqlite

import (
	"database/sql/driver"

	"github.com/fattorino-dev/fattorino/internal/attemptlog"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// settle writes what became of deliveries.
func (c *commit) settle(outcomes []fattorino.Outcome) error {
	plain := map[success][]int64{}
	for i := range outcomes {
		o := &outcomes[i]
		page, err := c.log(o)
		if err != nil {
			return err
		}
		if s, ok := atOnce(o.Delivery, page); ok {
			plain[s] = append(plain[s], o.Delivery.ID)
			continue
		}
		c.ids.row = max(c.ids.row, o.Delivery.ID)
		if err := c.exec(putDelivery, deliveryValues(o.Delivery, page)...); err != nil {
			return err
		}
	}
	if err := c.writeSuccesses(plain); err != nil {
		return err
	}
	return c.writePage()
}

func atOnce(d *fattorino.Delivery, page driver.Value) (success, bool) {
	if page == nil || !record.DeliveredAtOnce(d) {
		return success{}, false
	}
	return success{page: page.(int64), status: d.Status, settled: record.Micros(d.SettledAt)}, true
}

// log puts an attempt on the page being written. It gives the page of a first
// attempt, for its delivery to point to; nil for others, which are found among
// the retries.
func (c *commit) log(o *fattorino.Outcome) (page driver.Value, err error) {
	a := o.Attempt
	if a == nil {
		return nil, nil
	}
	if c.page.Len() == attemptlog.MaxAttempts {
		if err := c.writePage(); err != nil {
			return nil, err
		}
	}
	if c.page.Len() == 0 {
		c.ids.page++
	}
	c.page.Add(a, o.Delivery.Event.Data)
	if a.Number == 1 {
		return c.ids.page, nil
	}
	return nil, c.exec(`INSERT INTO retries VALUES (?, ?, ?)`, a.Delivery, int64(a.Number), c.ids.page)
}

// writePage writes the page of attempts begun, if there is one.
func (c *commit) writePage() error {
	if c.page.Len() == 0 {
		return nil
	}
	c.packed = c.page.AppendTo(c.packed[:0])
	c.page.Reset()
	return c.exec(`INSERT INTO attempts VALUES (?, ?, ?)`, c.ids.page, record.Micros(c.now), c.packed)
}

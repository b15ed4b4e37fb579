package record

import (
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// counted are the columns of tallies that are added up.
const counted = `delivered failed discarded t0 t1 t2 t3 t4 t5 t6 t7 t8 t9 t10 t11`

// EachCounted writes a text for every column of tallies that is added up; each
// # in it is the column's name.
func EachCounted(text string) string {
	all := strings.Fields(counted)
	for i, column := range all {
		all[i] = strings.ReplaceAll(text, "#", column)
	}
	return strings.Join(all, ", ")
}

// Counted gives the values of those columns, in their order.
func Counted(t *fattorino.Tally) []int64 {
	return append([]int64{t.Delivered, t.Failed, t.Discarded}, t.Latency[:]...)
}

// ScanTally reads the subscription, the time and those columns of a company's.
func ScanTally(company int64) func(Row) (fattorino.Tally, error) {
	return func(r Row) (fattorino.Tally, error) {
		t := fattorino.Tally{Company: company}
		dest := []any{&t.Subscription, Micro{T: &t.At}, &t.Delivered, &t.Failed, &t.Discarded}
		for i := range t.Latency {
			dest = append(dest, &t.Latency[i])
		}
		return t, r.Scan(dest...)
	}
}

// ScanPulse reads a pulse.
func ScanPulse(r Row) (p fattorino.Pulse, err error) {
	return p, r.Scan(&p.Subscription, Micro{T: &p.SucceededAt}, Micro{T: &p.FailedAt}, &p.InARow)
}

package postgres

import "time"

// layout says which part a company lies in, and what the ids tell:
//
//	event, delivery: ((day * parts + part) << 32) + number
//	subscription:    number * parts + part
//
// Subscriptions that were moved here from a data folder have the ids that they
// had there. With 64 parts or fewer every id is below 2^53 until the year 2059, so that
// it goes through JSON numbers unharmed (RFC 8259, section 6).
type layout struct {
	parts int64 // fixed when the database was made

	moved map[int64]int16 // the parts of subscriptions whose ids do not tell it
}

// numberBits is how many bits of an id hold its number within day and part:
// enough for 49,000 a second in one part.
const numberBits = 32

// of gives the part of a company.
func (l layout) of(company int64) int16 {
	// The last step of SplitMix64: what tells two companies apart may be any of
	// their bits, and all of them decide.
	x := uint64(company)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return int16(x % uint64(l.parts))
}

// ofSubscription gives the part that a subscription lies in.
func (l layout) ofSubscription(id int64) int16 {
	if part, ok := l.moved[id]; ok {
		return part
	}
	return int16(max(id, 0) % l.parts)
}

// subscription gives the id of a subscription in the part.
func (l layout) subscription(part int16, n int64) int64 { return n*l.parts + int64(part) }

// ofID gives the part that an event or a delivery lies in.
func (l layout) ofID(id int64) int16 { return int16(max(id, 0) >> numberBits % l.parts) }

// dayOf gives the day in which an event or delivery was given its id, counted
// from 1970.
func (l layout) dayOf(id int64) int { return int(max(id, 0) >> numberBits / l.parts) }

// id gives the id of an event or delivery.
func (l layout) id(day int, part int16, number int64) int64 {
	return (int64(day)*l.parts+int64(part))<<numberBits + number
}

// dayStart gives the id that no event or delivery of an earlier day reaches.
func (l layout) dayStart(day int) int64 { return l.id(day, 0, 0) }

// dayAt gives the day of a time, in UTC.
func dayAt(micros int64) int { return int(micros / (24 * time.Hour).Microseconds()) }

// months: the partitions of event_ids span so many days.
const monthDays = 32

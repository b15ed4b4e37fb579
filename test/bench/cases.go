package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// A benchCase is one way to load the server.
type benchCase struct {
	name  string // its letter, and what is special: "A-ES256-TLS"
	big   bool   // it takes many minutes, and is measured once
	nodes int    // processes on one PostgreSQL database; 0 = one, on SQLite
	run   func(ctx context.Context, b *bench) (figures, error)
	shows []shown // what it measures, in the order of the table
}

// figures are what one round measured, by name. The unit is in the name.
type figures map[string]float64

// shown is one figure of a case, and what is insisted on.
type shown struct {
	figure string
	sign   string // "≥" or "≤"; empty = nothing is insisted on
	limit  float64
}

// holds tells whether the value is as insisted.
func (s shown) holds(value float64) bool {
	switch s.sign {
	case "≥":
		return value >= s.limit
	case "≤":
		return value <= s.limit
	}
	return true
}

// cases are all there are, some of them with each of these numbers of processes.
// What they insist on is the project's own promise.
func cases(nodes []int) []benchCase {
	all := []benchCase{
		throughputCase("A-HMAC", oneByOne(hmac), shown{ratio, "≥", 0.25}, shown{cpuPerDelivery, "≤", 65}),
		throughputCase("A-ES256", oneByOne(es256), shown{ratio, "≥", 0.18}, shown{figure: cpuPerDelivery}),
		throughputCase("A-HMAC-TLS", oneByOne(hmac).overTLS(), shown{ratio, "≥", 0.25}, shown{figure: cpuPerDelivery}),
		throughputCase("A-ES256-TLS", oneByOne(es256).overTLS(), shown{ratio, "≥", 0.18}, shown{figure: cpuPerDelivery}),
		postgresCase("A-HMAC-PG", oneByOne(hmac)),
		postgresCase("A-ES256-PG", oneByOne(es256)),
		throughputCase("B-HMAC", fannedOut(hmac), shown{ratio, "≥", 0.9}, shown{cpuPerDelivery, "≤", 20}),
		throughputCase("B-ES256", fannedOut(es256), shown{ratio, "≥", 0.45}, shown{figure: cpuPerDelivery}),
		throughputCase("B-HMAC-TLS", fannedOut(hmac).overTLS(), shown{ratio, "≥", 0.9}, shown{figure: cpuPerDelivery}),
		throughputCase("B-ES256-TLS", fannedOut(es256).overTLS(), shown{ratio, "≥", 0.45}, shown{figure: cpuPerDelivery}),
		postgresCase("B-HMAC-PG", fannedOut(hmac)),
		postgresCase("B-ES256-PG", fannedOut(es256)),
		hangingCase(),
		latencyCase("D-HMAC", hmac),
		latencyCase("D-ES256", es256),
		backlogCase("E-hanging", hanging),
		backlogCase("E-refusing", refusing),
		tenantsCase(),
		logCase(),
		idleCase(),
	}
	for _, n := range nodes {
		all = append(all, nodesCase("A-HMAC-PG", oneByOne(hmac), n), nodesCase("B-HMAC-PG", fannedOut(hmac), n))
	}
	return all
}

// bench measures rounds of cases.
type bench struct {
	options
	throughputs map[throughput]float64 // deliveries/s of the last round of each
}

// scaled gives a size of one of the big cases, and no less than least.
func (b *bench) scaled(n, least int) int { return max(least, int(float64(n)*b.scale)) }

// quiet is how many cores other programs may use during a round, which is
// measured once more when they use more.
const quiet = 0.3

// A measured round is one of a case.
type measured struct {
	name     string
	figures  figures
	others   float64 // cores that other programs used meanwhile
	repeated bool    // the first try was too noisy
}

// round measures one round of a case.
func (b *bench) round(ctx context.Context, c benchCase) (m measured, err error) {
	m = measured{name: c.name}
	for {
		begun, others := time.Now(), othersCPU()
		if m.figures, err = c.run(ctx, b); err != nil {
			return m, err
		}
		m.others = max(0, (othersCPU()-others).Seconds()/time.Since(begun).Seconds())
		if m.others <= quiet || m.repeated || c.big {
			return m, nil
		}
		fmt.Fprintf(os.Stderr, "others used %.1f cores: once more …\n", m.others)
		m.repeated = true
	}
}

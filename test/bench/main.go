// Command bench measures how much Fattorino delivers, how fast and at what
// cost, and holds it to what is insisted on.
//
// It starts the real server as a process of its own, with durable commits on,
// publishes through the API on kept-alive connections, and receives with
// net/http in this process, all on the same machine. Throughput is told beside
// a raw loop in the same minute: a plain net/http client that posts the same
// body to the same sink, the limit that such a sender works under.
//
//	A  one event of 500 bytes in a request, 32 publishers, one subscription
//	B  batches of 100 events, ten subscriptions
//	C  ten sinks at 40 events/s each, of which one hangs
//	D  latency from publish to arrival, at half the rate of A
//	E  millions of deliveries pending for sinks that are down, then up
//	F  100,000 subscriptions in 10,000 companies
//	G  a log of 10,000,000 deliveries
//	H  idle with 10,000 subscriptions
//
// A and B are measured on PostgreSQL too (A-HMAC-PG), on a private cluster that
// syncs its commits to the disk, and set beside SQLite's figure of the same
// round; and with several processes on one database (A-HMAC-PG-2), where the
// events are of 64 companies and the publishers take the processes in turn.
//
// A, B and D are measured with HMAC (the native contract, Standard Webhooks
// v1) and with ES256 (the contract of Fatture in Cloud), A and B also to https
// sinks. E, F and G take many minutes and some ten GB of disk, and run only
// when -only names them; their millions of deliveries are made as a platform
// would, by events that a hundred subscriptions hear. The servers' folders are
// where TMPDIR says, which is to be on a real disk: in memory a sync costs
// nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are what to measure, and how much of it.
type options struct {
	events  int
	rounds  int
	scale   float64
	binary  string
	history string
	compare string
	only    string
	store   string
	nodes   string
}

func run(ctx context.Context) error {
	var o options
	flag.IntVar(&o.events, "events", 20_000, "events of case A; B makes twice as many deliveries")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of A, B, C, D and H, of which the table shows medians; E, F and G are measured once")
	flag.Float64Var(&o.scale, "scale", 1, "size of E, F, G and H: 0.01 = a hundredth, for trying")
	flag.StringVar(&o.binary, "binary", "", "the server to measure; built from ./cmd/fattorino when empty")
	flag.StringVar(&o.history, "history", "dist/bench.jsonl", "file that each run is appended to as a line of JSON; empty = none")
	flag.StringVar(&o.compare, "compare", "", "file of such lines, of which the last is shown beside this run")
	flag.StringVar(&o.only, "only", "", "cases to run, as A,B-ES256,E: a letter stands for all of its kind; empty = all but E, F and G")
	flag.StringVar(&o.store, "store", "", "sqlite or postgres: cases of the other are left out; empty = both")
	flag.StringVar(&o.nodes, "nodes", "1,2,4", "how many processes share a PostgreSQL database in cases of A and B, which are measured with each of these numbers; empty = no such cases")
	flag.Parse()

	chosen, err := o.choose()
	if err != nil {
		return err
	}
	earlier, err := lastRun(o.compare)
	if err != nil {
		return err
	}
	if o.binary == "" {
		built, remove, err := build(ctx)
		if err != nil {
			return err
		}
		defer remove()
		o.binary = built
	}
	b := &bench{options: o, throughputs: map[throughput]float64{}}
	r := newReport()
	err = b.measure(ctx, chosen, r)
	r.print(os.Stdout, chosen, earlier)
	if err != nil {
		return err
	}
	return r.save(o.history)
}

// measure measures the rounds of the cases: one of each in turn, so that a
// noisy minute touches all alike.
func (b *bench) measure(ctx context.Context, chosen []benchCase, r *report) error {
	for round := range b.rounds {
		for _, c := range chosen {
			if c.big && round > 0 {
				continue
			}
			fmt.Fprintf(os.Stderr, "%s round %d of %d, case %s …\n", time.Now().Format(time.TimeOnly), round+1, b.rounds, c.name)
			if err := r.add(b.round(ctx, c)); err != nil {
				return fmt.Errorf("case %s: %w", c.name, err)
			}
		}
	}
	return nil
}

// choose gives the cases that the flags ask for.
func (o options) choose() ([]benchCase, error) {
	var nodes []int
	for n := range strings.SplitSeq(o.nodes, ",") {
		if n == "" {
			continue
		}
		number, err := strconv.Atoi(n)
		if err != nil || number < 1 {
			return nil, fmt.Errorf("-nodes %q: %q is no number of processes", o.nodes, n)
		}
		nodes = append(nodes, number)
	}
	all := cases(nodes)
	switch o.store {
	case "":
	case "sqlite":
		all = slices.DeleteFunc(all, func(c benchCase) bool { return c.nodes > 0 })
	case "postgres":
		all = slices.DeleteFunc(all, func(c benchCase) bool { return c.nodes == 0 })
	default:
		return nil, fmt.Errorf("-store %q: there are sqlite and postgres", o.store)
	}
	return choose(all, o.only)
}

// choose gives the cases that the list names; without a list all but the big
// ones.
func choose(all []benchCase, list string) ([]benchCase, error) {
	names := strings.Split(list, ",")
	named := func(c benchCase) bool {
		kind, _, _ := strings.Cut(c.name, "-")
		return slices.Contains(names, c.name) || slices.Contains(names, kind)
	}
	var chosen []benchCase
	for _, c := range all {
		if (list == "" && !c.big) || named(c) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-only %q names no case", list)
	}
	return chosen, nil
}

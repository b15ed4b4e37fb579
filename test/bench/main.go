// Command bench measures how much Fattorino delivers and how fast, beside a
// raw HTTP loop on the same machine in the same minute: the loop is the limit
// that any sender works under.
//
// It starts the real server as a process of its own, with durable commits on,
// and publishes through the API to a sink in this process. Cases:
//
//	A  one event in a request, 32 publishers, one subscription
//	B  batches of 100 events, ten subscriptions
//	D  latency from publish to arrival, at half the rate of A
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the size of a run.
type options struct {
	events  int
	rounds  int
	binary  string
	history string
	only    string
}

func run(ctx context.Context) error {
	var o options
	flag.IntVar(&o.events, "events", 20_000, "events of case A; case B makes twice as many deliveries, case D lasts four seconds")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; the table shows medians")
	flag.StringVar(&o.binary, "binary", "", "the server to measure; built from ./cmd/fattorino when empty")
	flag.StringVar(&o.history, "history", "dist/bench.jsonl", "file that each run is appended to as a line of JSON; empty = none")
	flag.StringVar(&o.only, "only", "A,B,D", "cases to run")
	flag.Parse()
	if o.binary == "" {
		built, remove, err := build(ctx)
		if err != nil {
			return err
		}
		defer remove()
		o.binary = built
	}
	rounds := map[string][]result{}
	for round := range o.rounds {
		for _, c := range cases {
			if !strings.Contains(o.only, c.name) {
				continue
			}
			fmt.Fprintf(os.Stderr, "round %d of %d, case %s …\n", round+1, o.rounds, c.name)
			r, err := measure(ctx, o, c, rounds["A"])
			if err != nil {
				return fmt.Errorf("case %s: %w", c.name, err)
			}
			rounds[c.name] = append(rounds[c.name], r)
		}
	}
	report := summarize(rounds)
	report.print()
	return report.save(o.history)
}

// result is one round of one case.
type result struct {
	Raw     float64 `json:"raw"`     // requests/s of the raw loop, mean of before and after
	Rate    float64 `json:"rate"`    // deliveries/s
	Ratio   float64 `json:"ratio"`   // Rate / Raw
	CPU     float64 `json:"cpu_us"`  // server CPU per delivery, µs
	P50     float64 `json:"p50_ms"`  // publish → arrival
	P99     float64 `json:"p99_ms"`  //
	Memory  float64 `json:"rss_mib"` // server's greatest resident memory
	Load    float64 `json:"load"`    // load average of the machine
	Lost    int     `json:"lost"`    // deliveries that did not arrive
	Doubled int     `json:"doubled"` // deliveries that arrived more than once
}

// report is what is printed and kept.
type report struct {
	At      time.Time         `json:"at"`
	Machine string            `json:"machine"`
	Cases   map[string]result `json:"cases"`
	rounds  map[string][]result
}

func summarize(rounds map[string][]result) report {
	r := report{At: time.Now().UTC(), Machine: machine(), Cases: map[string]result{}, rounds: rounds}
	for name, all := range rounds {
		median := func(f func(result) float64) float64 {
			values := make([]float64, len(all))
			for i, one := range all {
				values[i] = f(one)
			}
			slices.Sort(values)
			return values[len(values)/2]
		}
		m := result{
			Raw: median(func(r result) float64 { return r.Raw }), Rate: median(func(r result) float64 { return r.Rate }),
			Ratio: median(func(r result) float64 { return r.Ratio }), CPU: median(func(r result) float64 { return r.CPU }),
			P50: median(func(r result) float64 { return r.P50 }), P99: median(func(r result) float64 { return r.P99 }),
			Memory: median(func(r result) float64 { return r.Memory }), Load: median(func(r result) float64 { return r.Load }),
		}
		for _, one := range all {
			m.Lost += one.Lost
			m.Doubled += one.Doubled
		}
		r.Cases[name] = m
	}
	return r
}

func (r report) print() {
	fmt.Printf("%s; %s\n\n", r.Machine, r.At.Format(time.RFC3339))
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "case\traw/s\tdelivered/s\tratio\trange\tCPU µs\tp50 ms\tp99 ms\tRSS MiB\tload\tlost\tdoubled\t")
	for _, c := range cases {
		m, ok := r.Cases[c.name]
		if !ok {
			continue
		}
		low, high := m.Ratio, m.Ratio
		for _, one := range r.rounds[c.name] {
			low, high = min(low, one.Ratio), max(high, one.Ratio)
		}
		_, _ = fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.3f\t%.3f–%.3f\t%.1f\t%.2f\t%.2f\t%.0f\t%.1f\t%d\t%d\t\n",
			c.name, m.Raw, m.Rate, m.Ratio, low, high, m.CPU, m.P50, m.P99, m.Memory, m.Load, m.Lost, m.Doubled)
	}
	_ = w.Flush()
	fmt.Println("\nES256 under the Fatture in Cloud contract; medians; in A and B the percentiles are those of saturation: they measure the queue.")
}

func (r report) save(path string) error {
	if path == "" {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if dir, _, nested := cutLast(path, "/"); nested {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// machine names the machine by its processor and its cores.
func machine() string {
	model := runtime.GOARCH
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%s, %d cores, %s", model, runtime.NumCPU(), runtime.Version())
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A report is what a run measured.
type report struct {
	At      time.Time            `json:"at"`
	Machine string               `json:"machine"`
	Load    [2]float64           `json:"load"` // the load average before and after
	Cases   map[string]*caseDone `json:"cases"`
}

// caseDone is what all rounds of a case measured.
type caseDone struct {
	Figures  map[string]spread `json:"figures"`
	Others   float64           `json:"others"`   // cores that other programs used, the most of all rounds
	Repeated int               `json:"repeated"` // rounds that were measured once more, for others used too much

	all map[string][]float64
}

// A spread is a figure over the rounds.
type spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

func newReport() *report {
	return &report{At: time.Now().UTC(), Machine: machine(), Load: [2]float64{loadAverage()}, Cases: map[string]*caseDone{}}
}

// add takes in a round, unless it failed.
func (r *report) add(m measured, err error) error {
	if err != nil {
		return err
	}
	c := r.Cases[m.name]
	if c == nil {
		c = &caseDone{Figures: map[string]spread{}, all: map[string][]float64{}}
		r.Cases[m.name] = c
	}
	c.Others = max(c.Others, m.others)
	if m.repeated {
		c.Repeated++
	}
	for name, value := range m.figures {
		c.all[name] = append(c.all[name], value)
		all := slices.Sorted(slices.Values(c.all[name]))
		c.Figures[name] = spread{Median: all[len(all)/2], Low: all[0], High: all[len(all)-1]}
	}
	r.Load[1] = loadAverage()
	return nil
}

// print writes the table: the cases that were run, beside those of an earlier
// run where there is one.
func (r *report) print(w io.Writer, chosen []benchCase, earlier *report) {
	_, _ = fmt.Fprintf(w, "%s; load average %.1f before, %.1f after; %s\n", r.Machine, r.Load[0], r.Load[1], r.At.Format(time.RFC3339))
	heads := []string{"case", "figure", "median", "range", "insisted", "holds"}
	if earlier != nil {
		heads = append(heads, "earlier")
		_, _ = fmt.Fprintf(w, "earlier: %s; load average %.1f before, %.1f after; %s\n", earlier.Machine, earlier.Load[0], earlier.Load[1], earlier.At.Format(time.RFC3339))
	}
	_, _ = fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, strings.Join(heads, "\t"))
	for _, c := range chosen {
		done := r.Cases[c.name]
		if done == nil {
			continue // the run ended before it
		}
		name := c.name
		for _, s := range c.shows {
			cells := append([]string{name}, s.cells(done.Figures[s.figure])...)
			if earlier != nil {
				cells = append(cells, earlier.figure(c.name, s.figure))
			}
			_, _ = fmt.Fprintln(t, strings.Join(cells, "\t"))
			name = ""
		}
		_, _ = fmt.Fprintf(t, "\tcores used by others\t≤ %s\t%s%s\n", number(done.Others), repeated(done.Repeated), strings.Repeat("\t", len(heads)-4))
	}
	_ = t.Flush()
}

// cells are a figure's in the table.
func (s shown) cells(f spread) []string {
	cells := []string{s.figure, number(f.Median), "", "", ""}
	if f.Low != f.High {
		cells[2] = number(f.Low) + "–" + number(f.High)
	}
	if s.sign != "" {
		cells[3], cells[4] = s.sign+" "+number(s.limit), "no"
		if s.holds(f.Median) {
			cells[4] = "yes"
		}
	}
	return cells
}

func repeated(rounds int) string {
	if rounds == 0 {
		return ""
	}
	return fmt.Sprintf("%d measured twice", rounds)
}

// figure gives a figure of a case; nothing where it was not measured.
func (r *report) figure(name, figure string) string {
	done := r.Cases[name]
	if done == nil {
		return ""
	}
	f, ok := done.Figures[figure]
	if !ok {
		return ""
	}
	return number(f.Median)
}

// number gives three digits at least, and no more behind the point than tell
// something.
func number(v float64) string {
	switch {
	case v == float64(int64(v)) || v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// save appends the report to the file as a line of JSON.
func (r *report) save(path string) error {
	if path == "" {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
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

// lastRun reads the last report of a file; nil without a file.
func lastRun(path string) (*report, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	var r report
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		return nil, fmt.Errorf("%s: the last line is no report: %w", path, err)
	}
	return &r, nil
}

package ui

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A chart is drawn by a script from its data; without one, as its picture. Its
// table says the same in words.
type chart struct {
	Title   string
	Unit    string
	Stacked bool
	Series  []series
	Rows    []chartRow // newest first, those without anything left out
	Data    string     // JSON, for the script
	Bars    []bar      // the picture of a stacked one
	Lines   []string   // the picture of another: the points of each series
}

// A series is one of the things that a chart shows.
type series struct {
	Name  string
	Class string // that gives it its colour
}

// chartRow is the values of one step, as text.
type chartRow struct {
	At     time.Time
	Values []string
}

// A bar of a picture; its measures are in the units of the picture's viewBox.
type bar struct {
	X, Y, Width, Height string
	Class               string
}

// Size of the pictures.
const (
	pictureWidth, pictureHeight = 600.0, 170.0
	sparkWidth, sparkHeight     = 120.0, 26.0
)

// deliveriesChart shows what became of deliveries, step by step.
func deliveriesChart(l *language, step time.Duration, buckets []fattorino.Bucket) chart {
	c := chart{
		Title: l.T("chart.deliveries"), Unit: l.T("chart.deliveries.unit", l.age(step)), Stacked: true,
		Series: []series{{l.T("chart.delivered"), "series-good"}, {l.T("chart.failed"), "series-warn"}, {l.T("chart.discarded"), "series-bad"}},
		Bars:   barsOf(buckets, pictureWidth, pictureHeight),
	}
	return c.with(buckets, func(b *fattorino.Bucket) []*float64 {
		return []*float64{new(float64(b.Delivered)), new(float64(b.Failed)), new(float64(b.Discarded))}
	}, func(v float64) string { return l.count(int64(v)) })
}

// latencyChart shows how long answers took, step by step.
func latencyChart(l *language, buckets []fattorino.Bucket) chart {
	c := chart{
		Title: l.T("chart.latency"), Unit: "ms",
		Series: []series{{"p50", "series-low"}, {"p95", "series-middle"}, {"p99", "series-high"}},
	}
	c = c.with(buckets, func(b *fattorino.Bucket) []*float64 {
		if b.P99() == 0 {
			return []*float64{nil, nil, nil}
		}
		return []*float64{new(inMilliseconds(b.P50())), new(inMilliseconds(b.P95())), new(inMilliseconds(b.P99()))}
	}, func(v float64) string { return l.elapsed(time.Duration(v * float64(time.Millisecond))) })
	c.Lines = linesOf(buckets)
	return c
}

func inMilliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// with gives the chart its values: nil where there is none.
func (c chart) with(buckets []fattorino.Bucket, values func(*fattorino.Bucket) []*float64, write func(float64) string) chart {
	data := struct {
		Stacked bool         `json:"stacked"`
		Unit    string       `json:"unit"`
		At      []int64      `json:"at"`
		Values  [][]*float64 `json:"values"` // by series
	}{Stacked: c.Stacked, Unit: c.Unit, Values: make([][]*float64, len(c.Series))}
	for i := range buckets {
		b := &buckets[i]
		data.At = append(data.At, b.At.Unix())
		row := chartRow{At: b.At}
		for j, v := range values(b) {
			data.Values[j] = append(data.Values[j], v)
			if v != nil {
				row.Values = append(row.Values, write(*v))
			}
		}
		if b.Counts != (fattorino.Counts{}) && len(row.Values) > 0 {
			c.Rows = append([]chartRow{row}, c.Rows...)
		}
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		panic(err) // numbers and texts always encode
	}
	c.Data = string(encoded)
	return c
}

// barsOf stacks what became of deliveries, a column for each step.
func barsOf(buckets []fattorino.Bucket, width, height float64) (bars []bar) {
	most := int64(1)
	for _, b := range buckets {
		most = max(most, b.Delivered+b.Failed+b.Discarded)
	}
	step := width / float64(max(1, len(buckets)))
	for i, b := range buckets {
		top := height
		for _, part := range []struct {
			n     int64
			class string
		}{{b.Delivered, "series-good"}, {b.Failed, "series-warn"}, {b.Discarded, "series-bad"}} {
			if part.n == 0 {
				continue
			}
			size := max(1, float64(part.n)/float64(most)*height)
			top -= size
			bars = append(bars, bar{measure(float64(i) * step), measure(max(0, top)), measure(step * 0.8), measure(size), part.class})
		}
	}
	return bars
}

// dash is how long the line is that stands for one point, in the units of the
// picture.
const dash = 8

// linesOf gives the points of p50, p95 and p99.
func linesOf(buckets []fattorino.Bucket) []string {
	most := time.Millisecond
	for i := range buckets {
		most = max(most, buckets[i].P99())
	}
	lines, points, alone := make([]strings.Builder, 3), 0, 0.0
	step := pictureWidth / float64(max(1, len(buckets)))
	for i := range buckets {
		b := &buckets[i]
		if b.P99() == 0 {
			continue
		}
		points, alone = points+1, (float64(i)+0.5)*step
		for j, v := range []time.Duration{b.P50(), b.P95(), b.P99()} {
			fmt.Fprintf(&lines[j], "%s,%s ", measure((float64(i)+0.5)*step), measure(pictureHeight-float64(v)/float64(most)*(pictureHeight-4)))
		}
	}
	if points == 1 { // which is no line: make it one that can be seen
		for j := range lines {
			_, y, _ := strings.Cut(strings.TrimSpace(lines[j].String()), ",")
			fmt.Fprintf(&lines[j], "%s,%s", measure(alone-dash), y)
		}
	}
	return []string{lines[0].String(), lines[1].String(), lines[2].String()}
}

func measure(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// A spark is a small picture of how a subscription went of late.
type spark struct {
	Bars []bar
	Text string // the same in words
}

func sparkOf(l *language, buckets []fattorino.Bucket) spark {
	var sum fattorino.Counts
	for _, b := range buckets {
		sum = sum.Plus(b.Counts)
	}
	if sum == (fattorino.Counts{}) {
		return spark{Text: l.T("spark.nothing")}
	}
	return spark{
		Bars: barsOf(buckets, sparkWidth, sparkHeight),
		Text: l.T("spark.text", l.count(sum.Delivered), l.count(sum.Failed), l.count(sum.Discarded)),
	}
}

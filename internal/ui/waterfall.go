package ui

import (
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A waterfall is the phases of an exchange, one after another, to be drawn.
type waterfall struct {
	Total  string
	Phases []phase
}

// A phase is one of them. Its bar is in thousandths of the whole.
type phase struct {
	Key         string // dns, connect, tls, wait, read
	Start, Size int
	Time        string
}

// minBar is the least size of a bar, so that it can be seen.
const minBar = 6

// waterfallOf draws a timing. What is left of the whole when all phases are
// over is the reading of the answer.
func waterfallOf(l *language, t fattorino.Timing) waterfall {
	w := waterfall{Total: l.elapsed(t.Total)}
	if t.Total <= 0 {
		return w
	}
	read := t.Total - t.DNS - t.Connect - t.TLS - t.FirstByte
	at := time.Duration(0)
	for _, p := range []struct {
		key string
		d   time.Duration
	}{{"dns", t.DNS}, {"connect", t.Connect}, {"tls", t.TLS}, {"wait", t.FirstByte}, {"read", read}} {
		if p.d <= 0 {
			continue
		}
		start := int(at * 1000 / t.Total)
		size := max(minBar, int(p.d*1000/t.Total))
		w.Phases = append(w.Phases, phase{Key: p.key, Start: min(start, 1000-size), Size: size, Time: l.elapsed(p.d)})
		at += p.d
	}
	return w
}

// elapsed writes a time span with two digits that matter, or three: in ms, or in
// s from a second on.
func (l *language) elapsed(d time.Duration) string {
	switch ms := float64(d) / float64(time.Millisecond); {
	case d >= 10*time.Second:
		return l.fixed(d.Seconds(), 1) + " s"
	case d >= time.Second:
		return l.fixed(d.Seconds(), 2) + " s"
	case ms < 10:
		return l.fixed(ms, 1) + " ms"
	default:
		return l.fixed(ms, 0) + " ms"
	}
}

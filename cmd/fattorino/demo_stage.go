package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A stage shows the story: one line for each step, checked when it holds.
type stage struct {
	w      io.Writer
	live   bool // somebody looks: a line can be written over
	colour bool
}

func newStage(env *environment) *stage {
	live := isTerminal(env.stdout)
	return &stage{w: env.stdout, live: live, colour: live && env.getenv("NO_COLOR") == ""} // no-color.org
}

// A step is one claim of the story, and the proof. What it returns is shown
// after its name; the lines below it.
type step struct {
	name  string
	limit time.Duration // how long it may take; 0 = 10 s
	run   func(ctx context.Context) (proof string, err error)
	below func() error // shows more, once it holds; nil = nothing
}

// Colours, as ANSI escape sequences.
const (
	green = "32"
	red   = "31"
	dim   = "2"
	bold  = "1"
)

func (s *stage) paint(colour, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// line writes a line, over what progress has left.
func (s *stage) line(text string) {
	if s.live {
		text = "\r\x1b[K" + text
	}
	_, _ = fmt.Fprintln(s.w, text)
}

func (s *stage) title() {
	s.line(s.paint(bold, "Fattorino, the whole story") + s.paint(dim, "  (all of it real HTTP on this machine)"))
}

// heading begins a chapter.
func (s *stage) heading(text string) { s.paragraph(s.paint(bold, text)) }

func (s *stage) end() {
	s.line("")
	s.line(s.paint(bold, "Every step held."))
}

// play runs a step and shows whether it held.
func (s *stage) play(ctx context.Context, p step) bool {
	limit := p.limit
	if limit == 0 {
		limit = 10 * time.Second
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s.progress(p.name)
	proof, err := p.run(bounded)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("interrupted: %w", err)
		}
		s.line(s.paint(red, "✗") + " " + p.name)
		s.line("    " + s.paint(red, err.Error()))
		if e, ok := errors.AsType[*fattorino.Error](err); ok && e.Fix != "" {
			s.line("    to do: " + e.Fix)
		}
		return false
	}
	s.line(s.paint(green, "✓") + " " + p.name + s.paint(dim, "  "+proof))
	if p.below != nil {
		if err := p.below(); err != nil {
			s.line(s.paint(red, "✗") + " " + err.Error())
			return false
		}
	}
	return true
}

// progress says what is going on, where a line can be written over.
func (s *stage) progress(text string) {
	if s.live {
		_, _ = fmt.Fprint(s.w, "\r\x1b[K"+s.paint(dim, "… "+text))
	}
}

// note writes a line that belongs to the step above it.
func (s *stage) note(text string) { s.line("    " + text) }

// paragraph writes text with an empty line before it.
func (s *stage) paragraph(text string) {
	s.line("")
	s.line(text)
}

// countDown shows how long it is until the time, until done is closed.
func (s *stage) countDown(text string, until time.Time, done <-chan struct{}) {
	if !s.live {
		s.line("… " + text)
		return
	}
	ticks := time.NewTicker(200 * time.Millisecond)
	defer ticks.Stop()
	for {
		s.progress(fmt.Sprintf("%s: %.1f s", text, max(0, time.Until(until).Seconds())))
		select {
		case <-ticks.C:
		case <-done:
			return
		}
	}
}

package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestAStageShowsWhatHeldAndWhatDidNot(t *testing.T) {
	t.Parallel()
	for _, colour := range []bool{true, false} {
		out := &output{}
		s := &stage{w: out, live: colour, colour: colour}
		if !s.play(t.Context(), step{name: "good", run: func(context.Context) (string, error) { return "because", nil }}) {
			t.Error("a step that held passes for one that did not")
		}
		if s.play(t.Context(), step{name: "bad", run: func(context.Context) (string, error) { return "", &fattorino.Error{Msg: "cause", Fix: "remedy"} }}) {
			t.Error("a step that failed passes for one that held")
		}
		below := step{name: "half", run: func(context.Context) (string, error) { return "", nil }, below: func() error { return errors.New("table") }}
		if s.play(t.Context(), below) {
			t.Error("a step whose proof cannot be shown passes for one that held")
		}
		text := out.String()
		for _, want := range []string{"good", "because", "bad", "cause", "to do: remedy", "table"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in %q", want, text)
			}
		}
		if painted := strings.Contains(text, "\x1b["+green+"m✓"); painted != colour {
			t.Errorf("colour %v: got %q", colour, text)
		}
	}
}

func TestACountDownEndsWhenWhatItWaitsForIsThere(t *testing.T) {
	t.Parallel()
	out := &output{}
	s := &stage{w: out, live: true}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		s.countDown("waiting", time.Now().Add(time.Hour), done)
	}()
	out.await(t, "waiting: 3599.")
	close(done)
	<-ended
}

func TestNobodyIsShownColoursWhoDoesNotLookOrDoesNotWantThem(t *testing.T) {
	t.Parallel()
	s := newStage(&environment{stdout: &output{}, getenv: func(string) string { return "" }})
	if s.live || s.colour {
		t.Error("a pipe passes for a terminal")
	}
}

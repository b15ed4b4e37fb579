package fattorino_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestAnErrorIsFoundUnderWhatWrapsIt(t *testing.T) {
	t.Parallel()
	e := fattorino.Errorf(fattorino.Conflict, "company %d is taken", 7)
	for name, err := range map[string]error{
		"itself":        e,
		"wrapped":       fmt.Errorf("subscribe: %w", e),
		"wrapped twice": fmt.Errorf("door: %w", fmt.Errorf("subscribe: %w", e)),
		"joined":        errors.Join(io.EOF, e),
	} {
		if got := fattorino.AsError(err); got != e {
			t.Errorf("%s: found %v", name, got)
		}
		if kind := fattorino.KindOf(err); kind != fattorino.Conflict {
			t.Errorf("%s: kind %d, want Conflict", name, kind)
		}
	}
}

func TestAnErrorNobodyClassifiedIsInternalAndSaysNothingOfItsCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("open /var/lib/fattorino.db: permission denied")
	e := fattorino.AsError(fmt.Errorf("read: %w", cause))
	if e.Kind != fattorino.Internal || fattorino.KindOf(cause) != fattorino.Internal {
		t.Errorf("kind %d, want Internal", e.Kind)
	}
	if e.Msg != "internal error" || e.Fix != "" || len(e.Faults) != 0 {
		t.Errorf("a caller is told %q, %q, %v; want nothing of the cause", e.Msg, e.Fix, e.Faults)
	}
	if !errors.Is(e, cause) || !strings.Contains(e.Error(), cause.Error()) {
		t.Errorf("the log is told %q, want the cause", e)
	}
}

func TestTheTextForTheLogSaysAll(t *testing.T) {
	t.Parallel()
	e := &fattorino.Error{
		Kind: fattorino.Invalid, Msg: "nothing was stored", Err: io.ErrUnexpectedEOF,
		Faults: []fattorino.Fault{{Field: "events.3.source", Msg: "is missing"}, {Field: "events.4.id", Msg: "is empty"}},
	}
	const want = "nothing was stored; events.3.source: is missing; events.4.id: is empty: unexpected EOF"
	if e.Error() != want {
		t.Errorf("%q, want %q", e.Error(), want)
	}
	if !errors.Is(e, io.ErrUnexpectedEOF) {
		t.Error("the cause is not found")
	}
}

func TestInvalidFieldNamesTheField(t *testing.T) {
	t.Parallel()
	e := fattorino.InvalidField("data.sink", "%q is not https", "ftp")
	if e.Kind != fattorino.Invalid || e.Msg != `"ftp" is not https` || len(e.Faults) != 1 ||
		e.Faults[0] != (fattorino.Fault{Field: "data.sink", Msg: `"ftp" is not https`}) {
		t.Errorf("%+v", e)
	}
}

package fattorino

import (
	"context"
	"errors"
	"time"
)

// The bounds of a dry run.
const (
	maxDryRun     = 10_000  // events checked
	dryRunReach   = 100_000 // events looked at to find them, of whatever type
	dryRunSamples = 10      // failed events shown
	dryRunTime    = 20 * time.Second
)

// A SchemaCheck is what a dry run of a schema found.
type SchemaCheck struct {
	Checked int // events
	Failed  int
	Samples []FailedEvent // the newest that failed, at most ten
}

// A FailedEvent is an event whose data does not match a schema.
type FailedEvent struct {
	Company int64
	Seq     int64
	ID      string
	Faults  []Fault
}

// DryRunSchema checks the last events of a type, of all companies, against a
// schema, or against the one that is in force for the type where none is given.
// It looks at the newest 100,000 events of any type. Nothing changes.
func (s *Service) DryRunSchema(ctx context.Context, caller *Token, typ string, schema []byte, last int) (*SchemaCheck, error) {
	if err := need(caller, 0, AdminToken); err != nil {
		return nil, err
	}
	if s.OwnContract == "" {
		return nil, noOwnTypes()
	}
	if last < 1 || last > maxDryRun {
		return nil, InvalidField("last", "last is %d: it must be from 1 to %d", last, maxDryRun)
	}
	check := s.vocabulary.Load().checks[typ]
	if len(schema) > 0 {
		var err error
		if check, err = s.compileSchema(schema); err != nil {
			return nil, err
		}
	}
	if check == nil {
		return nil, InvalidField("schema", "the type %q has no schema: give one", typ)
	}
	bounded, cancel := context.WithTimeout(ctx, dryRunTime)
	defer cancel()
	found := &SchemaCheck{}
	err := s.Store.RecentEvents(bounded, typ, dryRunReach, last, func(e *Event) error {
		found.Checked++
		if faults := checkData(check, e); len(faults) > 0 {
			found.Failed++
			if len(found.Samples) < dryRunSamples {
				found.Samples = append(found.Samples, FailedEvent{Company: e.Company, Seq: e.Seq, ID: e.ID, Faults: faults})
			}
		}
		return bounded.Err()
	})
	if errors.Is(bounded.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, &Error{Kind: Unavailable, Msg: "the events could not be checked in time", Fix: "check fewer of them at once"}
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

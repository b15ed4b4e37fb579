package fattorino

import (
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// Bounds of what a subscriber may choose under any contract.
const (
	maxName        = 100  // characters
	maxDescription = 1000 // characters
	maxMetadata    = 32   // entries
	maxMetaKey     = 64   // characters
	maxMetaValue   = 512  // characters
	maxRate        = 1_000_000
	maxConcurrency = 64
	maxSchedule    = 20
	minRetryWait   = time.Second
	maxRetryWait   = 7 * 24 * time.Hour
	minTimeout     = time.Second
)

// Check holds texts, pace, schedule, timeout and end to bounds that are the
// same under every contract, but for the longest timeout. Each fault names the
// option as the API does.
func (o *Options) Check(maxTimeout time.Duration, now time.Time) []Fault {
	var f optionFaults
	f.checkText(o)
	f.checkPace(o, maxTimeout)
	if !slices.Contains([]Ordering{"", Unordered, ByEntity, Latest, Strict}, o.Ordering) {
		f.add("ordering", "the ordering %q is not one of none, entity, latest, strict", o.Ordering)
	}
	if !o.EndsAt.IsZero() && !o.EndsAt.After(now) {
		f.add("ends_at", "the subscription would have ended already")
	}
	return f
}

type optionFaults []Fault

func (f *optionFaults) add(field, format string, args ...any) {
	*f = append(*f, Fault{Field: field, Msg: fmt.Sprintf(format, args...)})
}

func (f *optionFaults) checkText(o *Options) {
	f.checkLength("name", o.Name, maxName)
	f.checkLength("description", o.Description, maxDescription)
	if len(o.Metadata) > maxMetadata {
		f.add("metadata", "there are %d entries: %d are allowed", len(o.Metadata), maxMetadata)
	}
	for key, value := range o.Metadata {
		if key == "" {
			f.add("metadata", "an entry has an empty name")
		}
		f.checkLength("metadata", key, maxMetaKey)
		f.checkLength("metadata", value, maxMetaValue)
	}
}

func (f *optionFaults) checkLength(field, text string, most int) {
	if n := utf8.RuneCountInString(text); n > most {
		f.add(field, "a text has %d characters: %d are allowed", n, most)
	}
	if !utf8.ValidString(text) {
		f.add(field, "a text is not UTF-8")
	}
}

func (f *optionFaults) checkPace(o *Options, maxTimeout time.Duration) {
	if o.Rate < 0 || o.Rate > maxRate {
		f.add("rate", "%d attempts in a minute are not within 1 to %d", o.Rate, maxRate)
	}
	if o.Concurrency < 0 || o.Concurrency > maxConcurrency {
		f.add("concurrency", "%d attempts at a time are not within 1 to %d", o.Concurrency, maxConcurrency)
	}
	if o.Timeout != 0 && (o.Timeout < minTimeout || o.Timeout > maxTimeout) {
		f.add("timeout", "%v is not within %v to %v", o.Timeout, minTimeout, maxTimeout)
	}
	if len(o.Schedule) > maxSchedule {
		f.add("schedule", "there are %d waits: %d are allowed", len(o.Schedule), maxSchedule)
	}
	for i, wait := range o.Schedule {
		if wait < minRetryWait || wait > maxRetryWait {
			f.add(fmt.Sprintf("schedule.%d", i), "%v is not within %v to %v", wait, minRetryWait, maxRetryWait)
		}
	}
}

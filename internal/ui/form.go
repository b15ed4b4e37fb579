package ui

import (
	"bytes"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// subscriptionForm is what is written in the fields of the form, as it is
// written: so that it can be shown again with what is wrong.
type subscriptionForm struct {
	Contract    string
	App         int64
	Sink        string
	Name        string
	Description string
	Types       []string // that were ticked, groups included
	Others      string   // further types, one to a line

	Format, Signature, Handshake, Ordering, Method string
	Rate, Concurrency, Timeout, Schedule           string
	BatchSize, BatchLinger, EndsAt                 string
	Template, Filters, Headers                     string
	Thin, DropHeaders                              bool

	Seen string // when the subscription that is edited was last changed
}

func readSubscriptionForm(q url.Values) subscriptionForm {
	f := subscriptionForm{
		Contract: q.Get("contract"), Sink: strings.TrimSpace(q.Get("sink")),
		Name: strings.TrimSpace(q.Get("name")), Description: strings.TrimSpace(q.Get("description")), Types: q["types"], Others: q.Get("others"),
		Format: q.Get("format"), Signature: q.Get("signature"), Handshake: q.Get("handshake"), Ordering: q.Get("ordering"), Method: q.Get("method"),
		Rate: q.Get("rate"), Concurrency: q.Get("concurrency"), Timeout: q.Get("timeout"), Schedule: q.Get("schedule"),
		BatchSize: q.Get("batch_size"), BatchLinger: q.Get("batch_linger"), EndsAt: q.Get("ends_at"),
		Template: q.Get("template"), Filters: q.Get("filters"), Headers: q.Get("headers"),
		Thin: q.Get("thin") != "", DropHeaders: q.Get("drop_headers") != "", Seen: q.Get("seen"),
	}
	f.App, _ = strconv.ParseInt(q.Get("app"), 10, 64) // the use case says that there is no such app
	return f
}

// formOf gives the form of a subscription as it is.
func formOf(sub *fattorino.Subscription) subscriptionForm {
	o := sub.Options
	f := subscriptionForm{
		Contract: sub.Contract, App: sub.App, Sink: sub.Sink, Name: o.Name, Description: o.Description, Types: sub.Types,
		Format: string(sub.Format), Signature: o.Signature, Handshake: o.Handshake, Ordering: string(o.Ordering),
		Rate: number(o.Rate), Concurrency: number(o.Concurrency), Timeout: seconds(o.Timeout), BatchSize: number(o.BatchSize), BatchLinger: seconds(o.BatchLinger),
		Template: o.Template, Filters: string(sub.Filters), Thin: o.Thin, Seen: strconv.FormatInt(sub.UpdatedAt.UnixMicro(), 10),
	}
	if !o.EndsAt.IsZero() {
		f.EndsAt = o.EndsAt.UTC().Format(time.RFC3339)
	}
	var waits []string
	for _, wait := range o.Schedule {
		waits = append(waits, seconds(wait))
	}
	f.Schedule = strings.Join(waits, ", ")
	return f
}

// seconds writes a time span as the form does; empty for 0.
func seconds(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}

// names gives the types and groups that are asked for.
func (f *subscriptionForm) names() []string {
	names := slices.Clone(f.Types)
	for line := range strings.Lines(f.Others) {
		if name := strings.TrimSpace(line); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// formFaults gathers what is wrong, by field.
type formFaults map[string]string

func (f formFaults) add(field, format string, args ...any) {
	if f[field] == "" {
		f[field] = fmt.Sprintf(format, args...)
	}
}

// take adds the faults of an error to the fields that they name. What names no
// field is the message for the whole form.
func (f formFaults) take(err *fattorino.Error) (rest string) {
	if len(err.Faults) == 0 {
		return strings.TrimSpace(strings.TrimSuffix(err.Msg, ".") + ". " + err.Fix)
	}
	for _, fault := range err.Faults {
		field, _, _ := strings.Cut(fault.Field, ".")
		f.add(strings.TrimSuffix(field, "_id"), "%s", fault.Msg)
	}
	return ""
}

// wish gives what the form asks for, on the ground of what was chosen before,
// and the header fields, to be sealed. What cannot be read is in the faults.
func (f *subscriptionForm) wish(before fattorino.Options, company int64, faults formFaults) (*fattorino.NewSubscription, []fattorino.Header) {
	n := &fattorino.NewSubscription{
		Company: company, Contract: f.Contract, Sink: f.Sink, Types: f.names(), Format: fattorino.Format(f.Format), Method: fattorino.Method(f.Method),
		Options: before,
	}
	if n.Method == "" {
		n.Method = fattorino.ByHeader
	}
	if n.Sink == "" {
		faults.add("sink", "give the URL that notifications are sent to")
	}
	if len(n.Types) == 0 {
		faults.add("types", "choose one type at least")
	}
	o := &n.Options
	o.Name, o.Description, o.Handshake, o.Signature, o.Thin, o.Template = f.Name, f.Description, f.Handshake, f.Signature, f.Thin, f.Template
	o.Ordering = fattorino.Ordering(f.Ordering)
	o.Rate, o.Concurrency, o.BatchSize = faults.integer("rate", f.Rate), faults.integer("concurrency", f.Concurrency), faults.integer("batch_size", f.BatchSize)
	o.Timeout, o.BatchLinger = faults.seconds("timeout", f.Timeout), faults.seconds("batch_linger", f.BatchLinger)
	o.Schedule = nil
	for wait := range strings.FieldsFuncSeq(f.Schedule, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
		o.Schedule = append(o.Schedule, faults.seconds("schedule", wait))
	}
	o.EndsAt = time.Time{}
	if text := strings.TrimSpace(f.EndsAt); text != "" {
		var err error
		if o.EndsAt, err = time.Parse(time.RFC3339, text); err != nil {
			faults.add("ends_at", "%q is not a time such as 2030-12-31T23:59:59Z", text)
		}
	}
	if text := bytes.TrimSpace([]byte(f.Filters)); len(text) > 0 && string(text) != "[]" {
		n.Filters = text
	}
	return n, faults.headers(f.Headers)
}

func (f formFaults) integer(field, text string) int {
	if text = strings.TrimSpace(text); text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		f.add(field, "%q is not a positive whole number", text)
		return 0
	}
	return n
}

// maxSeconds bounds the times that can be given, 7 days: the longest that any of
// them may be.
const maxSeconds = 7 * 24 * 60 * 60

func (f formFaults) seconds(field, text string) time.Duration {
	if text = strings.TrimSpace(text); text == "" {
		return 0
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", "."), 64)
	if err != nil || !(n >= 0.001) || n > maxSeconds {
		f.add(field, "%q is not a number of seconds from 0.001 to %d", text, maxSeconds)
		return 0
	}
	return time.Duration(math.Round(n*1000)) * time.Millisecond
}

// headers reads header fields, one to a line as "Name: value". A line that is
// none is not quoted: it may be a secret in the wrong place.
func (f formFaults) headers(text string) (list []fattorino.Header) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			f.add("headers", "a line is not of the form Name: value")
			continue
		}
		list = append(list, fattorino.Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value), Secret: true})
	}
	return list
}

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// sendCommand publishes events.
type sendCommand struct {
	clientFlags
	File string `arg:"" optional:"" help:"File of CloudEvents in JSON: one event, an array of them, or one after the other; - is standard input."`

	Type    string `placeholder:"TYPE" help:"Type of one event, as invoice.created."`
	Company int64  `placeholder:"ID" help:"Company that it is about."`
	Entity  string `placeholder:"TYPE/ID" help:"What it is about, as invoice/42."`
	Data    string `placeholder:"JSON" help:"Its data: JSON, or @FILE with JSON in it."`
	ID      string `placeholder:"ID" help:"Its id; a random one where none is given."`
	Source  string `placeholder:"URI" default:"urn:fattorino:cli" help:"Where it comes from (${default})."`
	Subject string `placeholder:"TEXT" help:"Its subject."`

	DryRun bool `help:"Print what would be sent, and send nothing."`
}

// Help is what --help adds.
func (*sendCommand) Help() string {
	return `An array is sent as one batch: all its events are taken, or none. Events that
stand one after the other (JSON lines) are sent in batches as they are read. What was
sent before can be sent again: the same source and id is stored once.

Example:

    fattorino send --type invoice.created --company 12345 --entity invoice/42 --data '{"id":42}'
    fattorino send events.jsonl
    zcat old.jsonl.gz | fattorino send -`
}

// Run sends one event made of flags, or those of a file.
func (c *sendCommand) Run(ctx context.Context, env *environment) error {
	out := &sender{env: env, dryRun: c.DryRun}
	if !c.DryRun {
		client, err := c.client(env)
		if err != nil {
			return err
		}
		out.client = client
	}
	if c.File != "" {
		return c.sendFile(ctx, out, env)
	}
	if c.Type == "" {
		return &usageError{msg: "there is nothing to send", fix: "give --type and --company, or a file of events (- is standard input)"}
	}
	event, err := c.event(env)
	if err != nil {
		return err
	}
	return out.send(ctx, []*fattorino.Event{event})
}

// event makes the event that the flags describe.
func (c *sendCommand) event(env *environment) (*fattorino.Event, error) {
	e := &fattorino.Event{
		ID: cmp.Or(c.ID, randomID()), Source: c.Source, Type: c.Type, Subject: c.Subject,
		Extensions: map[string]any{},
	}
	if c.ID == "" { // with an id of the caller's the very same event can be sent again
		e.Time = time.Now().Truncate(time.Millisecond)
	}
	if c.Company <= 0 {
		return nil, &usageError{msg: "the event's company is missing", fix: "give its id with --company"}
	}
	e.Extensions["companyid"] = strconv.FormatInt(c.Company, 10)
	if c.Entity != "" {
		e.Extensions["entity"] = c.Entity
	}
	if c.Data == "" {
		return e, nil
	}
	data, err := readData(c.Data, env)
	if err != nil {
		return nil, err
	}
	if !json.Valid(data) {
		return nil, &usageError{msg: "the data is not valid JSON", fix: `quote it for the shell, as --data '{"id":42}', or give @FILE`}
	}
	e.Data, e.Form, e.DataContentType = bytes.TrimSpace(data), fattorino.JSONData, "application/json"
	return e, nil
}

// randomID draws an id that nobody draws again.
func randomID() string { return strings.ToLower(rand.Text()) }

// readData gives the data of --data: the text itself, or a file's where it
// begins with @.
func readData(text string, env *environment) ([]byte, error) {
	path, isFile := strings.CutPrefix(text, "@")
	if !isFile {
		return []byte(text), nil
	}
	file, err := open(path, env)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	return io.ReadAll(file)
}

// open opens a file to be read; - is standard input.
func open(path string, env *environment) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(env.stdin), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, &usageError{msg: fmt.Sprintf("the file cannot be read: %v", err), fix: "check its path; - is standard input"}
	}
	return file, nil
}

// sendFile sends the events of a file.
func (c *sendCommand) sendFile(ctx context.Context, out *sender, env *environment) error {
	if c.Type != "" || c.Company != 0 || c.Entity != "" || c.Data != "" || c.ID != "" || c.Subject != "" {
		return &usageError{msg: "flags describe one event, and a file holds whole ones", fix: "leave out the file, or the flags"}
	}
	file, err := open(c.File, env)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	events := newEventReader(file)
	for {
		batch, err := events.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return out.failed(err)
		}
		if err := out.send(ctx, batch); err != nil {
			return out.failed(err)
		}
	}
	if events.read == 0 {
		return &usageError{msg: "there is no event to send", fix: "give CloudEvents in JSON: one, an array, or one a line"}
	}
	out.sum()
	return nil
}

// An eventReader reads events in JSON: one array, or events one after the
// other.
type eventReader struct {
	in   *bufio.Reader
	json *json.Decoder // nil until the first event that is in no array
	read int           // events so far
	end  bool
}

func newEventReader(r io.Reader) *eventReader { return &eventReader{in: bufio.NewReader(r)} }

// Bounds of what is sent at a time of events that stand one after the other.
const (
	sendEvents = 500
	sendBytes  = 1 << 20
)

// next gives the events to be sent together; io.EOF after the last.
func (r *eventReader) next() ([]*fattorino.Event, error) {
	if r.end {
		return nil, io.EOF
	}
	if r.json == nil {
		if r.startsArray() {
			return r.array()
		}
		r.json = json.NewDecoder(r.in)
	}
	var batch []*fattorino.Event
	for size := 0; len(batch) < sendEvents && size < sendBytes; {
		var raw json.RawMessage
		err := r.json.Decode(&raw)
		if errors.Is(err, io.EOF) {
			r.end = true
			break
		}
		if err != nil {
			return nil, &usageError{msg: fmt.Sprintf("event %d is not JSON: %v", r.read+1, err), fix: "correct it, and send the file again"}
		}
		event, err := r.event(raw)
		if err != nil {
			return nil, err
		}
		batch = append(batch, event)
		size += len(raw)
	}
	if len(batch) == 0 {
		return nil, io.EOF
	}
	return batch, nil
}

// startsArray looks at the first character that is no white space.
func (r *eventReader) startsArray() bool {
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return false
		}
		if !strings.ContainsRune(" \t\r\n", rune(c)) {
			_ = r.in.UnreadByte() // it was just read
			return c == '['
		}
	}
}

// array reads an array, which is one batch.
func (r *eventReader) array() ([]*fattorino.Event, error) {
	r.end = true
	text, err := io.ReadAll(r.in)
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, &usageError{msg: fmt.Sprintf("the array of events is not JSON: %v", err), fix: "correct it, and send it again"}
	}
	var batch []*fattorino.Event
	for _, raw := range list {
		event, err := r.event(raw)
		if err != nil {
			return nil, err
		}
		batch = append(batch, event)
	}
	if len(batch) == 0 {
		return nil, io.EOF
	}
	return batch, nil
}

// event reads one event.
func (r *eventReader) event(raw []byte) (*fattorino.Event, error) {
	events, _, err := cloudevents.Decode(cloudevents.StructuredType, nil, raw)
	if err != nil {
		return nil, &usageError{
			msg: fmt.Sprintf("event %d is no CloudEvent: %s", r.read+1, explain(fattorino.AsError(err))),
			fix: "correct it, and send the file again",
		}
	}
	r.read++
	return events[0], nil
}

// A sender sends batches of events and tells how it goes.
type sender struct {
	client   *api.Client
	env      *environment
	dryRun   bool
	batches  int
	accepted int
}

// send publishes events, or prints them in a dry run.
func (s *sender) send(ctx context.Context, events []*fattorino.Event) error {
	if s.dryRun {
		for _, e := range events {
			if _, err := fmt.Fprintf(s.env.stdout, "%s\n", cloudevents.AppendStructured(nil, e)); err != nil {
				return err
			}
		}
		return nil
	}
	receipts, err := s.client.Publish(ctx, events...)
	if err != nil {
		return err
	}
	s.batches++
	s.accepted += len(receipts.Events)
	for _, warning := range receipts.Warnings {
		s.progress("") // the warning begins a line of its own
		_, _ = fmt.Fprintln(s.env.stderr, "warning:", warning)
	}
	if s.batches == 1 && len(events) < sendEvents {
		for _, r := range receipts.Events {
			if _, err := fmt.Fprintf(s.env.stdout, "accepted %s: company %d, seq %d\n", r.ID, r.Company, r.Seq); err != nil {
				return err
			}
		}
		return nil
	}
	s.progress(fmt.Sprintf("%d events accepted", s.accepted))
	return nil
}

// progress shows how far it is, where somebody looks.
func (s *sender) progress(text string) {
	if isTerminal(s.env.stderr) {
		_, _ = fmt.Fprintf(s.env.stderr, "\r\x1b[K%s", text)
	}
}

// sum tells of a large file how it went.
func (s *sender) sum() {
	if s.batches > 1 || s.accepted >= sendEvents {
		s.progress("")
		_, _ = fmt.Fprintf(s.env.stdout, "accepted %d events\n", s.accepted)
	}
}

// failed says with an error what had been sent by then.
func (s *sender) failed(err error) error {
	s.progress("")
	if s.accepted > 0 {
		_, _ = fmt.Fprintf(s.env.stderr, "%d events had been accepted before this; they can be sent again and are not stored twice\n", s.accepted)
	}
	return err
}

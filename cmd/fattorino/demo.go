package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// demoCommand plays the whole story.
type demoCommand struct {
	Once   bool   `help:"End when the story has been told: exit code 0 if every step held."`
	Data   string `placeholder:"DIR" help:"Folder to keep the data in; a temporary one where none is given."`
	Listen string `default:"127.0.0.1:0" help:"Address to serve on; port 0 takes any that is free."`
}

// Help is what --help adds.
func (*demoCommand) Help() string {
	return `It starts the real service on a folder of its own, and subscribers that check
every signature; one of them fails once on purpose. A company, an app and tokens
are made, challenges are answered, events are published, notifications arrive, one
of them is retried. One event is heard under three contracts, each in its own
words, and a bin of the inspector shows it arrive; the tutorial of Defacto is
played on invoices of the sandbox. All of it is HTTP on this machine. Then it
stays up to be played with, until it is interrupted.

Example:

    fattorino demo
    fattorino demo --once`
}

// errStepFailed ends a demo; what failed has been shown.
var errStepFailed = errors.New("a step of the demo failed")

// Run tells the story, and then stays up unless it is to be told once.
func (c *demoCommand) Run(ctx context.Context, env *environment) (err error) {
	data := c.Data
	if data == "" {
		if data, err = os.MkdirTemp("", "fattorino-demo-"); err != nil {
			return fmt.Errorf("make a temporary folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	}
	d := &demo{out: newStage(env), log: env.stderr, data: data, listen: c.Listen, run: randomID()[:8]}
	defer func() { err = errors.Join(err, d.close(context.WithoutCancel(ctx))) }()
	d.out.title()
	for _, part := range d.story() {
		d.out.heading(part.heading)
		for _, s := range part.steps {
			if !d.out.play(ctx, s) {
				return errStepFailed
			}
		}
	}
	d.out.end()
	if c.Once {
		return nil
	}
	d.stayUp(ctx)
	return nil
}

// A demo is the story's people and things.
type demo struct {
	out    *stage
	log    io.Writer
	data   string
	listen string
	client http.Client
	run    string // tells this run's events from those of an earlier one

	app       *app.App
	tokens    struct{ admin, api, publish, defacto string }
	listeners []*listener

	appID        int64
	sink         *sink  // the one of the first subscription
	subscription string // its public id, as SUB1
	firstSeq     int64

	voices struct{ fic, facturascripts, native, defacto voice }
	bin    demoBin

	invoice struct {
		id      string
		created []byte // what its creation answered
	}
}

// A listener is a sink, and the contract that it listens under.
type listener struct {
	*sink
	contract string
}

// addSink opens a sink for a subscriber under the contract.
func (d *demo) addSink(ctx context.Context, contract string) (*sink, error) {
	s, err := openSink(ctx)
	if err != nil {
		return nil, err
	}
	d.listeners = append(d.listeners, &listener{s, contract})
	return s, nil
}

// The story's companies: the second is that of the sandbox's invoices.
const (
	demoCompany     = 12345
	demoCompanyName = "Officina Rossi"
	demoSeller      = 67890
	demoSellerName  = "Atelier Dupont"
)

// close ends what was started.
func (d *demo) close(ctx context.Context) error {
	var all []error
	for _, l := range d.listeners {
		all = append(all, l.close())
	}
	if d.app != nil {
		all = append(all, d.app.Stop(ctx))
	}
	return errors.Join(all...)
}

// exchange is one call of the API.
type exchange struct {
	method, path, token string
	contentType         string // of the body; JSON where empty
	body                any    // to be sent as JSON; nil = none
	answer              any    // to be read as JSON, or a *[]byte for all its bytes; nil = it is not looked at
	status              int    // that it must have
}

// call makes a call as anybody would, without help from inside the program.
func (d *demo) call(ctx context.Context, x exchange) error {
	var body io.Reader = http.NoBody
	if x.body != nil {
		text, err := json.Marshal(x.body)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, x.method, d.app.URL()+x.path, body)
	if err != nil {
		return err
	}
	if x.body != nil {
		request.Header.Set("Content-Type", cmp.Or(x.contentType, "application/json"))
	}
	if x.token != "" {
		request.Header.Set("Authorization", "Bearer "+x.token)
	}
	response, err := d.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it has been read
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != x.status {
		return fmt.Errorf("%s %s answered %d, not %d: %.300s", x.method, x.path, response.StatusCode, x.status, text)
	}
	switch all := x.answer.(type) {
	case nil:
		return nil
	case *[]byte:
		*all = text
		return nil
	}
	if err := json.Unmarshal(text, x.answer); err != nil {
		return fmt.Errorf("%s %s answered what is not expected: %w", x.method, x.path, err)
	}
	return nil
}

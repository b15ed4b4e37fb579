package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// demoCommand plays the whole story.
type demoCommand struct {
	Once   bool   `help:"End when the story has been told: exit code 0 if every step held."`
	Data   string `placeholder:"DIR" help:"Folder to keep the data in; a temporary one where none is given."`
	Listen string `default:"127.0.0.1:0" help:"Address to serve on (${default})."`
}

// Help is what --help adds.
func (*demoCommand) Help() string {
	return `It starts the real service on a folder of its own, and a subscriber that checks
every signature and fails once on purpose. A company, an app and tokens are made,
the subscriber's challenge is answered, events are published, notifications arrive,
one of them is retried. All of it is HTTP on this machine. Then it stays up to be
played with, until it is interrupted.

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
	for _, s := range d.story() {
		if !d.out.play(ctx, s) {
			return errStepFailed
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

	app    *app.App
	sink   *sink
	tokens struct{ admin, api, publish string }

	appID        int64
	subscription string // public id, as SUB1
	firstSeq     int64
}

// The story's company.
const (
	demoCompany     = 12345
	demoCompanyName = "Officina Rossi"
)

// close ends what was started.
func (d *demo) close(ctx context.Context) error {
	var all []error
	if d.sink != nil {
		all = append(all, d.sink.close())
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
	answer              any    // to be read as JSON; nil = it is not looked at
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
		request.Header.Set("Content-Type", firstOf(x.contentType, "application/json"))
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
	if x.answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, x.answer); err != nil {
		return fmt.Errorf("%s %s answered what is not expected: %w", x.method, x.path, err)
	}
	return nil
}

// stayUp shows how to go on by hand, and what then arrives.
func (d *demo) stayUp(ctx context.Context) {
	url := d.app.URL()
	d.out.paragraph(fmt.Sprintf(`It stays up until you press Ctrl-C. Go on by hand:

  the service      %s   (the API explained: %[1]s/docs)
  the subscriber   %s
  admin token      %s
  publish token    %s
  api token        %s`, url, d.sink.url, d.tokens.admin, d.tokens.publish, d.tokens.api))
	d.out.paragraph(fmt.Sprintf(`Publish an event:

curl -s %s/v1/events -H 'Authorization: Bearer %s' \
  -H 'Content-Type: application/cloudevents+json' \
  -d '{"specversion":"1.0","id":"by-hand-1","source":"urn:demo:me","type":"invoice.created","companyid":"%d","data":{"id":99}}'

List the subscriptions, as an app of Fatture in Cloud does:

curl -s %[1]s/c/%[3]d/subscriptions -H 'Authorization: Bearer %[4]s'

See what was delivered, and pull what happened:

curl -s '%[1]s/v1/companies/%[3]d/deliveries?limit=5' -H 'Authorization: Bearer %[4]s'
curl -s '%[1]s/v1/companies/%[3]d/events?after=0&wait=10' -H 'Authorization: Bearer %[4]s'

What the subscriber receives from here on:`, url, d.tokens.publish, demoCompany, d.tokens.api))
	for seen := d.sink.count(); ; seen++ {
		n, err := d.sink.await(ctx, seen)
		if err != nil {
			return // interrupted
		}
		d.out.note(n.at.Format(time.TimeOnly) + "  " + n.describe())
	}
}

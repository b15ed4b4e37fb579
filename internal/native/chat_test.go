package native_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/chat"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/native"
)

// ownSink gives a URL as the tool of the format gives out.
func ownSink(f fattorino.Format) string {
	switch f {
	case chat.Slack:
		return "https://hooks.slack.com/services/T0/B0/x"
	case chat.Teams:
		return "https://e0.09.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/w0/triggers/manual/paths/invoke?sig=x"
	}
	return "https://discord.com/api/webhooks/1/x"
}

func TestChat_SinksThatNeedNoHandshake(t *testing.T) {
	t.Parallel()
	strict := newFixture(t)
	open := newFixture(t, func(o *native.Options) { o.AllowNoHandshake = true })
	for _, tc := range []struct {
		format fattorino.Format
		sink   string
		own    bool
	}{
		{chat.Slack, ownSink(chat.Slack), true},
		{chat.Slack, "https://HOOKS.slack.com/services/T0/B0/x", true},
		{chat.Slack, "http://hooks.slack.com/services/T0/B0/x", false},
		{chat.Slack, "https://hooks.slack.com:8443/services/T0/B0/x", false},
		{chat.Slack, "https://hooks.slack.com.evil.example/services", false},
		{chat.Slack, "https://hooks.slack.com@evil.example/services", false},
		{chat.Slack, "https://evilhooks.slack.com/services", false},
		{chat.Slack, "https://evil.example/hooks.slack.com", false},
		{chat.Slack, "https://evil.example/?https://hooks.slack.com", false},
		{chat.Slack, ownSink(chat.Discord), false},
		{chat.Teams, ownSink(chat.Teams), true},
		{chat.Teams, "https://prod-23.westeurope.logic.azure.com:443/workflows/w0/triggers/manual/paths/invoke?sig=x", true},
		{chat.Teams, "https://contoso.webhook.office.com/webhookb2/x", true},
		{chat.Teams, "https://evilwebhook.office.com/webhookb2/x", false},
		{chat.Teams, "https://webhook.office.com.evil.example/x", false},
		{chat.Teams, ownSink(chat.Slack), false},
		{chat.Discord, ownSink(chat.Discord), true},
		{chat.Discord, "https://discordapp.com/api/webhooks/1/x", true},
		{chat.Discord, "https://evil.discord.com.example/api/webhooks/1/x", false},
		{chat.Discord, ownSink(chat.Teams), false},
	} {
		t.Run(string(tc.format)+" "+tc.sink, func(t *testing.T) {
			t.Parallel()
			n := wish()
			n.Format, n.Sink = tc.format, tc.sink
			s := subscription()
			s.Format, s.Sink = tc.format, tc.sink
			refused := []string{"sink"}
			if tc.own {
				refused = nil
			}
			if got := faults(t, strict.CheckOptions(n)); !slices.Equal(got, refused) {
				t.Errorf("faults %v, want %v", got, refused)
			}
			if asked := strict.Handshake(s) != nil; asked == tc.own {
				t.Errorf("it is asked: %v", asked)
			}
			if got := faults(t, open.CheckOptions(n)); got != nil {
				t.Errorf("faults %v where the operator allows any sink", got)
			}
			if open.Handshake(s) != nil {
				t.Error("it is asked where the operator allows any sink")
			}
		})
	}
}

// What is no message to people proves itself, whoever its host is.
func TestChat_OtherFormatsAreAskedAtThoseHostsToo(t *testing.T) {
	t.Parallel()
	f, s := newFixture(t), subscription()
	for _, tool := range chat.Formats() {
		s.Sink = ownSink(tool)
		if f.Handshake(s) == nil {
			t.Errorf("%s is not asked", s.Sink)
		}
	}
}

func TestCheckOptions_OfChat(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tc := range []struct {
		name   string
		change func(n *fattorino.NewSubscription)
		fault  string // its field; empty = accepted
	}{
		{"nothing chosen", func(*fattorino.NewSubscription) {}, ""},
		{"handshake none", func(n *fattorino.NewSubscription) { n.Options.Handshake = native.HandshakeNone }, ""},
		{"handshake challenge", func(n *fattorino.NewSubscription) { n.Options.Handshake = native.HandshakeChallenge }, "handshake"},
		{"handshake options", func(n *fattorino.NewSubscription) { n.Options.Handshake = native.HandshakeOptions }, "handshake"},
		{"a signature", func(n *fattorino.NewSubscription) { n.Options.Signature = "v1" }, ""},
		{"thin", func(n *fattorino.NewSubscription) { n.Options.Thin = true }, ""},
		{"a batch size", func(n *fattorino.NewSubscription) { n.Options.BatchSize = 2 }, "batch_size"},
		{"a template", func(n *fattorino.NewSubscription) { n.Options.Template = "{{.Noun}}" }, ""},
		{"a template that is wrong", func(n *fattorino.NewSubscription) { n.Options.Template = "{{.Noun}" }, "template"},
		{"a template of a format without", func(n *fattorino.NewSubscription) {
			n.Format, n.Options.Template = fattorino.Structured, "{{.Noun}}"
		}, "template"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := wish()
			n.Format, n.Sink = chat.Slack, ownSink(chat.Slack)
			tc.change(n)
			var want []string
			if tc.fault != "" {
				want = []string{tc.fault}
			}
			if got := faults(t, f.CheckOptions(n)); !slices.Equal(got, want) {
				t.Errorf("faults %v, want %v", got, want)
			}
		})
	}
}

func TestCheckOptions_SaysWhereATemplateIsWrong(t *testing.T) {
	t.Parallel()
	n := wish()
	n.Format, n.Sink, n.Options.Template = chat.Slack, ownSink(chat.Slack), "Dear all\n{{.Nuon}}"
	err := fattorino.AsError(newFixture(t).CheckOptions(n))
	if len(err.Faults) != 1 || !strings.Contains(err.Faults[0].Msg, "message:2:3:") {
		t.Errorf("%+v", err.Faults)
	}
}

// The tools look at no signature, so that nobody need keep a secret for them.
func TestChat_IsNotSignedUnlessItIsAskedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, format := range []fattorino.Format{chat.Slack, chat.Teams, chat.Discord} {
		equal(t, f.DefaultSignature(format), native.SignatureNone)
	}
	for _, format := range []fattorino.Format{"", fattorino.Binary, fattorino.Structured, fattorino.Standard, fattorino.Batched} {
		equal(t, f.DefaultSignature(format), "")
	}
}

// A thin message knows the ids, and nothing of the state.
func TestChat_ThinTellsNothingOfTheState(t *testing.T) {
	t.Parallel()
	f, s := newFixture(t), subscription()
	s.Format, s.Sink, s.Options.Thin = chat.Slack, ownSink(chat.Slack), true
	s.Options.Template = "{{.Data.url}} {{join \",\" .Data.ids}} {{.Data.total}}|"
	var said struct{ Text string }
	if err := json.Unmarshal(f.notification(t, s, invoicePaid(), now).Body, &said); err != nil {
		t.Fatal(err)
	}
	equal(t, said.Text, baseURL+"/v1/companies/12345/events?after=815&amp;limit=1 42 |")
}

// The operator's template of a type goes before the default one, and a
// subscription's own before that.
func TestChat_TemplatesOfTheOperator(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *native.Options) {
		o.Templates = map[string]map[string]string{"slack": {"invoice.paid": "paid {{.Data.id}}", "*": "something"}}
	})
	text := func(template string, e *fattorino.Event) string {
		s := subscription()
		s.Format, s.Sink, s.Options.Template = chat.Slack, ownSink(chat.Slack), template
		var said struct{ Text string }
		if err := json.Unmarshal(f.notification(t, s, e, now).Body, &said); err != nil {
			t.Fatal(err)
		}
		return said.Text
	}
	other := *invoicePaid()
	other.Type, other.Common = "quote.created", "quote.created"
	equal(t, text("", invoicePaid()), "paid 42")
	equal(t, text("", &other), "something")
	equal(t, text("mine", invoicePaid()), "mine")
	if _, err := native.New(native.Options{Keychain: newKeychain(t), Templates: map[string]map[string]string{"sms": {"*": "x"}}}); err == nil {
		t.Error("templates for a format that has none are taken")
	}
}

package native

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/chat"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// isChat tells whether notifications in the format are messages to people.
func isChat(f fattorino.Format) bool { return slices.Contains(chat.Formats(), f) }

// newMessages makes the messages of each chat format that have no template of
// the subscription: by the operator's templates, which are by format and then
// by type, else by the default ones.
func newMessages(templates map[string]map[string]string) (map[fattorino.Format]*chat.Messages, error) {
	for name := range templates {
		if !isChat(fattorino.Format(name)) {
			return nil, fmt.Errorf("%q is not a format that has templates: slack, teams, discord", name)
		}
	}
	byFormat := map[fattorino.Format]*chat.Messages{}
	for _, f := range chat.Formats() {
		m, err := chat.New(f, templates[string(f)])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		byFormat[f] = m
	}
	return byFormat, nil
}

// chatBody gives the message that tells of the event: by the subscription's
// template, by the operator's for the type, or by the default one of what the
// event is about.
func (c *Contract) chatBody(s *fattorino.Subscription, e *fattorino.Event) ([]byte, error) {
	messages := c.messages[s.Format]
	if s.Options.Template != "" {
		var err error
		if messages, err = chat.New(s.Format, map[string]string{"*": s.Options.Template}); err != nil {
			return nil, err
		}
	}
	shown := c.shown(wayOf(s, e))
	return messages.Body(shown.Type, shown)
}

// isOwnSink tells whether the sink is the tool's own: a URL that only it gives
// out, and where nobody else could be annoyed. It goes by https to one of the
// hosts of
//
//   - Slack: hooks.slack.com
//   - Teams: workflows of Power Automate, *.environment.api.powerplatform.com
//     and, before, *.logic.azure.com; connectors, *.webhook.office.com
//   - Discord: discord.com, and, before, discordapp.com
func isOwnSink(f fattorino.Format, sink string) bool {
	u, err := url.Parse(sink)
	if err != nil || u.Scheme != "https" || u.User != nil || (u.Port() != "" && u.Port() != "443") {
		return false
	}
	host := strings.ToLower(u.Hostname())
	switch f {
	case chat.Slack:
		return host == "hooks.slack.com"
	case chat.Discord:
		return host == "discord.com" || host == "discordapp.com"
	case chat.Teams:
		return slices.ContainsFunc([]string{".environment.api.powerplatform.com", ".logic.azure.com", ".webhook.office.com"},
			func(domain string) bool { return strings.HasSuffix(host, domain) })
	}
	return false
}

// needsNoProof tells whether a sink of a chat format, none of which can answer
// a challenge, is taken as it is.
func (c *Contract) needsNoProof(f fattorino.Format, sink string) bool {
	return isChat(f) && (c.options.AllowNoHandshake || isOwnSink(f, sink))
}

// checkChatSink makes sure that a sink of a chat format needs no handshake.
func (c *Contract) checkChatSink(f *faults, n *fattorino.NewSubscription) {
	if chosen := n.Options.Handshake; chosen != "" && chosen != HandshakeNone {
		f.add("handshake", "what takes the format %s answers no handshake: leave it out", n.Format)
	}
	if !c.needsNoProof(n.Format, n.Sink) {
		f.add("sink", "the format %s goes to the https URL that the tool itself gave out: what takes it answers no handshake, and subscriptions without one are not allowed here", n.Format)
	}
}

// checkTemplate makes sure that a template renders, whatever the event. The
// fault says at which line and column it does not.
func (f *faults) checkTemplate(n *fattorino.NewSubscription) {
	source := n.Options.Template
	switch {
	case source == "":
	case !isChat(n.Format):
		f.add("template", "only the formats slack, teams and discord have a template")
	default:
		if err := chat.Check(source); err != nil {
			f.add("template", "%v", err)
		}
	}
}

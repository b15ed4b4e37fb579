package native

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/chat"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// Name is the contract's name in the store and in the API.
const Name = "native"

// DefaultUserAgent is what requests to sinks are made as.
const DefaultUserAgent = "Fattorino"

// Options are the settings of a [Contract].
type Options struct {
	// Keychain opens what subscriptions keep secret. It is needed.
	Keychain *sign.Keychain
	// Signer signs the tokens of the signature "jwt"; nil = it is not offered.
	Signer Signer
	// BaseURL is where this service is reached from outside: an absolute http
	// or https URL, with or without a path. It stands in thin notifications, in
	// callbacks and, where Issuer is empty, in tokens. Without it the URLs of
	// thin notifications are relative, and no callback is offered.
	BaseURL string
	// Origin is the DNS name that asks for a sink's consent in the handshake
	// "options" (AP-2); the host of BaseURL where empty. With neither, that
	// handshake is not offered.
	Origin string
	// Issuer is the issuer of tokens: an absolute URL; BaseURL where empty.
	Issuer string
	// UserAgent is what requests to sinks are made as; [DefaultUserAgent]
	// where empty.
	UserAgent string
	// AllowNoHandshake lets subscribers choose the handshake "none".
	AllowNoHandshake bool
	// Templates are the operator's templates of chat messages, by format and
	// then by event type, common name, "invoice.*" or "*".
	Templates map[string]map[string]string
	// Common are the common names of event types that are known. Those of the
	// events that this contract documents are known without.
	Common []string
}

// A Contract is the native contract as the engine needs it. It does not change
// once made.
type Contract struct {
	options  Options
	catalog  *fattorino.Catalog
	messages map[fattorino.Format]*chat.Messages // of the chat formats
	tellings tellings
}

var _ fattorino.Contract = (*Contract)(nil)

// New makes the contract. It fails without a keychain, and on settings that no
// URL or header can hold.
func New(o Options) (*Contract, error) {
	if o.Keychain == nil {
		return nil, errors.New("native: a keychain is needed")
	}
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	if o.BaseURL != "" {
		u, err := url.Parse(o.BaseURL)
		if err != nil || !isHTTP(u) || u.RawQuery != "" || u.Fragment != "" || u.User != nil || !printable(o.BaseURL) {
			return nil, fmt.Errorf("native: the base URL %q is not an absolute http or https URL without user, query and fragment", o.BaseURL)
		}
		if o.Origin == "" {
			o.Origin = u.Hostname()
		}
	}
	if strings.ContainsAny(o.Origin, " /,;*") || !printable(o.Origin) {
		return nil, fmt.Errorf("native: the origin %q is not a DNS name", o.Origin)
	}
	if o.Issuer == "" {
		o.Issuer = o.BaseURL
	}
	if u, err := url.Parse(o.Issuer); o.Issuer != "" && (err != nil || !u.IsAbs() || !printable(o.Issuer)) {
		return nil, fmt.Errorf("native: the issuer %q is not an absolute URL", o.Issuer)
	}
	if o.Signer != nil && o.Issuer == "" {
		return nil, errors.New("native: tokens need an issuer: set the issuer or the base URL")
	}
	if o.UserAgent == "" {
		o.UserAgent = DefaultUserAgent
	}
	if !printable(o.UserAgent) {
		return nil, fmt.Errorf("native: the user agent %q cannot stand in a header", o.UserAgent)
	}
	catalog, err := newCatalog(o.Common)
	if err != nil {
		return nil, fmt.Errorf("native: %w", err)
	}
	messages, err := newMessages(o.Templates)
	if err != nil {
		return nil, fmt.Errorf("native: %w", err)
	}
	return &Contract{options: o, catalog: catalog, messages: messages}, nil
}

// isHTTP tells whether u is an absolute http or https URL.
func isHTTP(u *url.URL) bool {
	return (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != ""
}

// isSafe tells whether what is sent to u can be overheard by nobody else: it
// goes by https, or does not leave this machine.
func isSafe(u *url.URL) bool {
	if u.Scheme == "https" || u.Hostname() == "localhost" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return ip != nil && ip.IsLoopback()
}

// printable tells whether s is ASCII that can stand in a header as it is.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// Name is "native".
func (c *Contract) Name() string { return Name }

// Catalog gives the known types, under their common names. It is open: any
// other type, and "*" and "invoice.*", can be subscribed to as well; and
// shared: several subscriptions may hold one type.
func (c *Contract) Catalog() *fattorino.Catalog { return c.catalog }

// documented gives the common names that this contract documents.
func documented() []string {
	return []string{
		"invoice.created", "invoice.updated", "invoice.deleted", "invoice.paid",
		"customer.created", "customer.updated",
		"product.created", "product.updated",
		"receipt.paid",
	}
}

// newCatalog makes the catalog of the documented names and those given, each
// once.
func newCatalog(common []string) (*fattorino.Catalog, error) {
	names := documented()
	for _, name := range common {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	types := make([]fattorino.EventType, len(names))
	for i, name := range names {
		types[i] = fattorino.EventType{Name: name, Common: []string{name}}
	}
	c, err := fattorino.NewCatalog(Name, types, nil)
	if err != nil {
		return nil, err
	}
	c.Open, c.Shared = true, true
	return c, nil
}

// Expiry is 0: failures never end a subscription. What it could not be told is
// kept, and can be sent again.
func (c *Contract) Expiry() time.Duration { return 0 }

// Welcome is nil: nothing is sent that nobody published.
func (c *Contract) Welcome(*fattorino.Subscription, time.Time) *fattorino.Event { return nil }

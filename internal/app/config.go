package app

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/postgres"
	"github.com/fattorino-dev/fattorino/internal/sign"
	"github.com/fattorino-dev/fattorino/internal/ui"
)

// Config is every setting of the program. [Default] gives the defaults;
// [Config.Validate] refuses what would fail later.
//
// A field's tags say its name in a file and in messages (key), what it is for
// (help), where it belongs (group) and that it is never shown (secret).
type Config struct {
	Data             string `key:"data" group:"server" help:"Folder that keeps everything: the database and the master keys. Made where it is not there."`
	Database         string `key:"database" group:"server" help:"PostgreSQL database to keep everything in but the master keys, as postgres://user@host:5432/name?sslmode=verify-full; any number of processes can serve it together. Not set: a file in the data folder."`
	DatabaseListen   string `key:"database_listen" group:"server" help:"The same database without the connection pooler that database goes through, of the same form: where the nodes hear each other at once. Not set: database; behind a pooler nodes look for news five times a second."`
	DatabasePassword string `key:"database_password" group:"server" secret:"true" help:"Password for the database. Not set: as PostgreSQL's own clients find it (PGPASSWORD, a password file)."`
	Listen           string `key:"listen" group:"server" help:"Address to serve on, as host:port. Port 0 takes any that is free."`
	Dev              bool   `key:"dev" group:"server" help:"For work on one machine: allow sinks on this machine, and plain http to them. Not for production."`
	AdminToken       string `key:"admin_token" group:"server" secret:"true" help:"The operator's token. Not set: one is made at the first start and shown once."`
	MasterKeys       string `key:"master_keys" group:"server" secret:"true" help:"Keys that encrypt secrets at rest, as id:base64 of 32 bytes, the current one first. Not set: the file master.keys in the data folder, made at the first start."`
	LogLevel         string `key:"log_level" group:"server" help:"What to log: debug, info, warn or error."`
	LogFormat        string `key:"log_format" group:"server" help:"How to log: text, json, or auto for text on a terminal and JSON elsewhere."`
	LogAttempts      bool   `key:"log_attempts" group:"server" help:"Log one line for every attempt to deliver."`

	Sandbox   bool   `key:"sandbox" group:"server" help:"Serve invoices to try the Defacto contract with, at /invoices: a sandbox, not for production."`
	PublicURL string `key:"public_url" group:"server" help:"URL under which this service is reached from outside, as https://hooks.example.com. It stands in thin notifications, callbacks and tokens."`

	PortalFrameAncestors []string `key:"portal_frame_ancestors" group:"server" help:"Origins whose pages may show those of portal links in a frame, as https://app.example.com. None: no page may."`

	TemplatesFile string `key:"templates_file" group:"server" help:"YAML file of templates for chat messages (Go text/template): under slack, teams or discord, a template for each event type, as invoice.paid, invoice.* or *."`
	TypesFile     string `key:"types_file" group:"server" help:"YAML file of own event types and groups, put in place at each start. Under types: each name with description, common (the common name that it counts as), deprecated (what to use instead) and schema (a JSON Schema); under groups: each name with its list of types."`

	OIDCIssuer       string   `key:"oidc_issuer" group:"signin" help:"OpenID Connect issuer that people can sign in with on the management UI, as https://login.example.com; it needs oidc_client_id and public_url. Not set: passwords and tokens alone."`
	OIDCClientID     string   `key:"oidc_client_id" group:"signin" help:"Client that the issuer knows this service as. Its redirect URI is public_url with /ui/sign-in/oidc/callback."`
	OIDCClientSecret string   `key:"oidc_client_secret" group:"signin" secret:"true" help:"The client's secret. Not set: a public client."`
	OIDCRoles        []string `key:"oidc_roles" group:"signin" help:"Who may do what of those who sign in there, each as role:claim=value: admin:groups=webhook-admins. Roles are viewer, operator and admin; who has none of the values may do nothing."`

	AllowNetworks    []string `key:"allow_networks" group:"sinks" help:"Own networks in which sinks may be though they are not public, as 10.1.0.0/16."`
	SinkPorts        []string `key:"sink_ports" group:"sinks" help:"The only ports that sinks may have. Empty: all but those known to be dangerous."`
	PublicNames      []string `key:"public_names" group:"sinks" help:"Host names under which this service is reached: refused as sinks, for they would be a loop."`
	ExemptSinks      []string `key:"exempt_sinks" group:"sinks" help:"Hosts whose sinks need no handshake, as erp.example.com or *.example.com."`
	SinkCAFile       string   `key:"sink_ca_file" group:"sinks" help:"PEM file of further authorities that may sign sinks' certificates, as that of an own network."`
	AllowNoHandshake bool     `key:"allow_no_handshake" group:"sinks" help:"Let native subscriptions do without a handshake: whoever has a token can then have notifications sent to any public URL. The contracts of FacturaScripts and Defacto have no handshake in any case."`
	ConnectTimeout   Duration `key:"connect_timeout" group:"sinks" help:"For name, connection and TLS together."`
	AttemptTimeout   Duration `key:"attempt_timeout" group:"sinks" help:"For a whole attempt, the answer included."`

	LaneLimit         int      `key:"lane_limit" group:"limits" help:"Attempts in flight for one subscription."`
	HostLimit         int      `key:"host_limit" group:"limits" help:"Attempts in flight for one host, at most; fewer where processors are short."`
	NodeLimit         int      `key:"node_limit" group:"limits" help:"Attempts in flight in all."`
	Window            int      `key:"window" group:"limits" help:"Deliveries of one subscription held in memory; the rest waits in the database."`
	WindowBytes       int64    `key:"window_bytes" group:"limits" help:"About how many bytes of events are held in memory in all."`
	SubscriptionLimit int      `key:"subscription_limit" group:"limits" help:"Subscriptions of one app to one company."`
	Retention         Duration `key:"retention" group:"limits" help:"How long events are kept after they were accepted; 0 = for ever."`
	MaxEventBytes     int64    `key:"max_event_bytes" group:"limits" help:"Bytes of one event published."`
	MaxBatchBytes     int64    `key:"max_batch_bytes" group:"limits" help:"Bytes of one batch of events."`
	MaxBatchEvents    int      `key:"max_batch_events" group:"limits" help:"Events in one batch."`
	MaxRequestBytes   int64    `key:"max_request_bytes" group:"limits" help:"Bytes of all request bodies that are being worked on; above it clients are asked to come again (503)."`
	MaxConnections    int      `key:"max_connections" group:"limits" help:"Connections of clients. One more takes the place of that which has waited longest for a request."`

	FICIssuer       string `key:"fic_issuer" group:"fic" help:"CloudEvents source and token issuer of the notifications; receivers compare with it."`
	FICUserAgent    string `key:"fic_user_agent" group:"fic" help:"User-Agent of the notifications."`
	FICConnection   string `key:"fic_connection" group:"fic" help:"keep-alive, which is many times faster, or close, as the documentation of Fatture in Cloud prints it."`
	FICHourlyQuota  int64  `key:"fic_hourly_quota" group:"fic" help:"API calls of one app on one company in an hour; 0 = no limit. Fatture in Cloud has 1000."`
	FICMonthlyQuota int64  `key:"fic_monthly_quota" group:"fic" help:"API calls of one app on one company in a month; 0 = no limit. Fatture in Cloud has 40000."`
	FICShortQuota   int64  `key:"fic_short_quota" group:"fic" help:"API calls on one company in five minutes; 0 = no limit. Fatture in Cloud has 300."`
}

// The values of Config.FICConnection.
const (
	keepAlive       = "keep-alive"
	connectionClose = "close"
)

// The values of Config.LogFormat.
const (
	logAuto = "auto"
	logText = "text"
	logJSON = "json"
)

// Default gives the defaults: a server for this machine only, safe to put
// behind a proxy as it is.
func Default() Config {
	limits := engine.DefaultLimits()
	return Config{
		Data: "data", Listen: "127.0.0.1:8480",
		LogLevel: "info", LogFormat: logAuto, LogAttempts: true,
		ConnectTimeout: Duration(5 * time.Second), AttemptTimeout: Duration(10 * time.Second),
		LaneLimit: limits.Lane, HostLimit: limits.Host, NodeLimit: limits.Node,
		Window: limits.Window, WindowBytes: limits.WindowBytes,
		SubscriptionLimit: 100, Retention: Duration(30 * 24 * time.Hour),
		MaxEventBytes: 1 << 20, MaxBatchBytes: 16 << 20, MaxBatchEvents: 1000,
		MaxRequestBytes: 128 << 20, MaxConnections: 4096,
		FICIssuer: fic.DefaultIssuer, FICUserAgent: fic.DefaultUserAgent, FICConnection: keepAlive,
	}
}

// A SettingError says what is wrong with one setting. It never quotes a secret.
type SettingError struct {
	Key     string // the setting, as "listen"
	Problem string // goes on after the key
}

// Error gives key and problem.
func (e *SettingError) Error() string { return e.Key + ": " + e.Problem }

// faults gathers what is wrong with the settings.
type faults []error

func (f *faults) add(key, format string, args ...any) {
	*f = append(*f, &SettingError{Key: key, Problem: fmt.Sprintf(format, args...)})
}

// addError adds err, where there is one, under the setting.
func (f *faults) addError(key string, err error) {
	if err != nil {
		f.add(key, "%v", err)
	}
}

// oneOf checks a setting that is a choice.
func (f *faults) oneOf(key, value string, choices ...string) {
	if !slices.Contains(choices, value) {
		f.add(key, "%q is none of %s", value, strings.Join(choices, ", "))
	}
}

// atLeast checks a number.
func (f *faults) atLeast(key string, value, least int64) {
	if value < least {
		f.add(key, "%d is too small: it must be %d or more", value, least)
	}
}

// Validate refuses every value that would fail later. Its error joins a
// [SettingError] for each.
func (c *Config) Validate() error {
	var f faults
	c.checkServer(&f)
	c.checkSignIn(&f)
	c.checkSinks(&f)
	c.checkLimits(&f)
	c.checkFIC(&f)
	return errors.Join(f...)
}

func (c *Config) checkServer(f *faults) {
	if c.Data == "" {
		f.add("data", "it is empty: give a folder")
	}
	if c.Database != "" {
		f.addError("database", postgres.CheckURL(c.Database))
	}
	if c.DatabaseListen != "" {
		f.addError("database_listen", postgres.CheckURL(c.DatabaseListen))
		if c.Database == "" {
			f.add("database_listen", "it is another way to the database, and none is set: set database too")
		}
	}
	_, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		f.add("listen", "%q is not of the form host:port, as 127.0.0.1:8480", c.Listen)
	} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		f.add("listen", "the port %q is not a number from 0 to 65535", port)
	}
	if strings.ContainsFunc(c.AdminToken, func(r rune) bool { return r <= ' ' || r > '~' }) {
		f.add("admin_token", "it must be of printable ASCII without spaces, for it travels in a header")
	}
	if c.MasterKeys != "" {
		_, err := sign.OpenVault("", c.MasterKeys) // reads no file where keys are given
		f.addError("master_keys", err)
	}
	// The contract knows best which it can use.
	if _, err = native.New(native.Options{Keychain: sign.NewKeychain(nil), BaseURL: c.PublicURL}); err != nil {
		f.add("public_url", "it is not an absolute http or https URL without user, query and fragment, as https://hooks.example.com")
	}
	for _, origin := range c.PortalFrameAncestors {
		f.addError("portal_frame_ancestors", ui.CheckFrameAncestor(origin))
	}
	f.addError("templates_file", checkTemplates(c.TemplatesFile))
	_, _, err = readTypes(c.TypesFile)
	f.addError("types_file", err)
	f.oneOf("log_level", c.LogLevel, "debug", "info", "warn", "error")
	f.oneOf("log_format", c.LogFormat, logAuto, logText, logJSON)
}

// checkSignIn looks at the settings of OpenID Connect, which go together.
func (c *Config) checkSignIn(f *faults) {
	f.addError("oidc_roles", ui.CheckOpenIDRoles(c.OIDCRoles))
	if c.OIDCIssuer == "" {
		return
	}
	f.addError("oidc_issuer", ui.CheckIssuer(c.OIDCIssuer))
	if c.OIDCClientID == "" {
		f.add("oidc_client_id", "it is empty: give the client that oidc_issuer knows this service as")
	}
	if c.PublicURL == "" {
		f.add("public_url", "it is empty: oidc_issuer sends browsers back to it")
	}
}

func (c *Config) checkSinks(f *faults) {
	_, err := parseNetworks(c.AllowNetworks)
	f.addError("allow_networks", err)
	_, err = parsePorts(c.SinkPorts)
	f.addError("sink_ports", err)
	_, err = parseHostPatterns(c.ExemptSinks)
	f.addError("exempt_sinks", err)
	for _, name := range c.PublicNames {
		if !isHostName(name) {
			f.add("public_names", "%q is not a host name", name)
		}
	}
	_, err = rootCAs(c.SinkCAFile)
	f.addError("sink_ca_file", err)
	const longest = Duration(time.Minute)
	for _, d := range []struct {
		key   string
		value Duration
	}{{"connect_timeout", c.ConnectTimeout}, {"attempt_timeout", c.AttemptTimeout}} {
		if d.value <= 0 || d.value > longest {
			f.add(d.key, "%v is not above 0 and at most %v", d.value, longest)
		}
	}
	if c.ConnectTimeout > c.AttemptTimeout {
		f.add("connect_timeout", "%v is longer than attempt_timeout, which is %v", c.ConnectTimeout, c.AttemptTimeout)
	}
}

func (c *Config) checkLimits(f *faults) {
	f.atLeast("lane_limit", int64(c.LaneLimit), 1)
	f.atLeast("host_limit", int64(c.HostLimit), 1)
	f.atLeast("node_limit", int64(c.NodeLimit), 1)
	f.atLeast("window", int64(c.Window), 1)
	f.atLeast("window_bytes", c.WindowBytes, 1)
	f.atLeast("subscription_limit", int64(c.SubscriptionLimit), 1)
	f.atLeast("max_event_bytes", c.MaxEventBytes, 1)
	f.atLeast("max_batch_bytes", c.MaxBatchBytes, 1)
	f.atLeast("max_batch_events", int64(c.MaxBatchEvents), 1)
	f.atLeast("max_request_bytes", c.MaxRequestBytes, max(c.MaxEventBytes, c.MaxBatchBytes)) // else the largest is never taken
	f.atLeast("max_connections", int64(c.MaxConnections), 1)
	if c.Retention < 0 {
		f.add("retention", "%v is negative", c.Retention)
	}
}

func (c *Config) checkFIC(f *faults) {
	// The contract knows best which it can use.
	_, err := fic.New(fic.Options{Signer: ficSigner{}, Issuer: c.FICIssuer})
	f.addError("fic_issuer", err)
	_, err = fic.New(fic.Options{Signer: ficSigner{}, UserAgent: c.FICUserAgent})
	f.addError("fic_user_agent", err)
	f.oneOf("fic_connection", c.FICConnection, keepAlive, connectionClose)
	f.atLeast("fic_hourly_quota", c.FICHourlyQuota, 0)
	f.atLeast("fic_monthly_quota", c.FICMonthlyQuota, 0)
	f.atLeast("fic_short_quota", c.FICShortQuota, 0)
}

// checkTemplates tries the file of templates out, with the contract that will
// use it.
func checkTemplates(path string) error {
	templates, err := readTemplates(path)
	if err != nil {
		return err
	}
	_, err = native.New(native.Options{Keychain: sign.NewKeychain(nil), Templates: templates})
	return err
}

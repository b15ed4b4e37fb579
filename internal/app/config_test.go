package app_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/app"
)

func TestTheDefaultsAreGood(t *testing.T) {
	t.Parallel()
	c := app.Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestEverySettingIsDescribed(t *testing.T) {
	t.Parallel()
	c := app.Default()
	seen := map[string]bool{}
	for _, s := range c.Settings() {
		if s.Key == "" || s.Group == "" || s.Help == "" || seen[s.Key] {
			t.Errorf("setting %q lacks a key of its own, a group or a help", s.Key)
		}
		seen[s.Key] = true
	}
	if len(seen) != reflect.TypeFor[app.Config]().NumField() {
		t.Error("a setting is missing")
	}
}

func TestEverySettingReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	from := app.Config{
		Dev: true, Data: "d", SinkPorts: []string{"1", "2"}, Retention: app.Duration(36 * time.Hour), LaneLimit: 3, WindowBytes: 1 << 40,
	}
	var to app.Config
	for _, s := range from.Settings() {
		other, ok := to.Setting(s.Key)
		if !ok {
			t.Fatalf("there is no setting %q", s.Key)
		}
		if s.String() == "" {
			continue
		}
		if err := other.Set(s.String()); err != nil {
			t.Errorf("%s: %v", s.Key, err)
		}
	}
	if diff := cmp.Diff(fmt.Sprint(from), fmt.Sprint(to)); diff != "" {
		t.Error(diff)
	}
}

func TestASettingRefusesWhatItCannotHold(t *testing.T) {
	t.Parallel()
	var c app.Config
	for key, text := range map[string]string{
		"dev": "perhaps", "lane_limit": "many", "window_bytes": "1e3", "retention": "soon", "fic_hourly_quota": "99999999999999999999",
	} {
		s, _ := c.Setting(key)
		err := s.Set(text)
		if wrong, ok := errors.AsType[*app.SettingError](err); !ok || wrong.Key != key {
			t.Errorf("%s=%s: got %v", key, text, err)
		}
	}
	s, _ := c.Setting("listen")
	if err := s.SetList([]string{"a"}); err == nil {
		t.Error("listen takes a list")
	}
}

func TestValidateNamesTheSettingThatWouldFailLater(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "file.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, x := range []struct{ key, value string }{
		{"templates_file", filepath.Join(t.TempDir(), "none.yaml")},
		{"templates_file", file("slack: [")},
		{"templates_file", file("sms:\n  '*': hello\n")},
		{"templates_file", file("slack:\n  invoice.paid: '{{range .Data}}'\n")},
		{"types_file", file("typos: {}\n")},
		{"data", ""},
		{"listen", "8480"},
		{"listen", "127.0.0.1:http"},
		{"listen", "127.0.0.1:65536"},
		{"listen", "127.0.0.1:+80"},
		{"admin_token", "two words"},
		{"admin_token", "però"},
		{"master_keys", "m1"},
		{"public_url", "hooks.example.com"},
		{"public_url", "ftp://hooks.example.com"},
		{"public_url", "https://hooks.example.com/?a=b"},
		{"oidc_issuer", "http://login.example.com"},
		{"oidc_roles", "everybody"},
		{"log_level", "loud"},
		{"log_format", "xml"},
		{"allow_networks", "10.0.0.1"},
		{"allow_networks", "10.0.0.0/8,10.0.0.0/33"},
		{"sink_ports", "0"},
		{"sink_ports", "65536"},
		{"public_names", "https://x"},
		{"exempt_sinks", "*"},
		{"exempt_sinks", "*.10.0.0.1.."},
		{"exempt_sinks", "a b"},
		{"sink_ca_file", filepath.Join(t.TempDir(), "none.pem")},
		{"sink_ca_file", empty},
		{"connect_timeout", "0"},
		{"connect_timeout", "11s"},
		{"attempt_timeout", "-1s"},
		{"attempt_timeout", "61s"},
		{"lane_limit", "0"},
		{"host_limit", "-1"},
		{"node_limit", "0"},
		{"window", "0"},
		{"window_bytes", "0"},
		{"subscription_limit", "0"},
		{"retention", "-1h"},
		{"max_event_bytes", "0"},
		{"max_batch_bytes", "0"},
		{"max_batch_events", "0"},
		{"max_request_bytes", "0"},
		{"max_request_bytes", "16777215"}, // less than a batch
		{"max_connections", "0"},
		{"fic_issuer", "erp"},
		{"fic_user_agent", "a\nb"},
		{"fic_connection", "closed"},
		{"fic_hourly_quota", "-1"},
		{"fic_monthly_quota", "-1"},
		{"fic_short_quota", "-1"},
	} {
		c := app.Default()
		s, _ := c.Setting(x.key)
		if err := s.Set(x.value); err != nil {
			t.Errorf("%s=%q cannot even be set: %v", x.key, x.value, err)
			continue
		}
		wrong, ok := errors.AsType[*app.SettingError](c.Validate())
		if !ok || wrong.Key != x.key {
			t.Errorf("%s=%q: got %v", x.key, x.value, wrong)
		}
	}
}

func TestValidateTakesWhatIsGood(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ key, value string }{
		{"listen", ":0"},
		{"listen", "[::1]:8480"},
		{"admin_token", "x"},
		{"public_url", "https://hooks.example.com/fattorino/"},
		{"allow_networks", "10.0.0.0/8, fd00::/8"},
		{"exempt_sinks", "erp.example.com,*.example.org,10.1.2.3,::1"},
		{"sink_ports", "443, 8443"},
		{"retention", "0"},
		{"fic_connection", "close"},
	} {
		c := app.Default()
		s, _ := c.Setting(x.key)
		if err := errors.Join(s.Set(x.value), c.Validate()); err != nil {
			t.Errorf("%s=%q: %v", x.key, x.value, err)
		}
	}
}

func TestSignInByOpenIDNeedsAClientAndAnAddressToComeBackTo(t *testing.T) {
	t.Parallel()
	c := app.Default()
	c.OIDCIssuer, c.OIDCClientID, c.PublicURL = "https://login.example.com", "fattorino", "https://hooks.example.com"
	if err := c.Validate(); err != nil {
		t.Errorf("with both: %v", err)
	}
	for key, change := range map[string]func(*app.Config){
		"oidc_client_id": func(c *app.Config) { c.OIDCClientID = "" },
		"public_url":     func(c *app.Config) { c.PublicURL = "" },
	} {
		lacking := c
		change(&lacking)
		if wrong, ok := errors.AsType[*app.SettingError](lacking.Validate()); !ok || wrong.Key != key {
			t.Errorf("without %s: got %v", key, wrong)
		}
	}
}

func TestNoWayOfPrintingSettingsShowsASecret(t *testing.T) {
	t.Parallel()
	c := app.Default()
	c.AdminToken, c.MasterKeys, c.OIDCClientSecret = "secret-token", "m1:secret-key", "secret-client"
	shown := []string{
		fmt.Sprint(c), fmt.Sprint(&c), fmt.Sprintf("%+v %#v %s", c, c, &c), c.LogValue().String(),
		fmt.Sprint(c.Validate()), fmt.Sprint(c.Settings()),
	}
	for _, text := range shown {
		if strings.Contains(text, "secret-") {
			t.Errorf("a secret is shown in %s", text)
		}
	}
	if !strings.Contains(shown[0], "admin_token=(set, not shown)") {
		t.Error("it is not said that the token is set")
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		value time.Duration
		text  string
	}{
		"30d":    {30 * 24 * time.Hour, "30d"},
		"720h":   {30 * 24 * time.Hour, "30d"},
		"36h":    {36 * time.Hour, "36h"},
		"90s":    {90 * time.Second, "1m30s"},
		"10m":    {10 * time.Minute, "10m"},
		"1h0m5s": {time.Hour + 5*time.Second, "1h0m5s"},
		"10s":    {10 * time.Second, "10s"},
		"200ms":  {200 * time.Millisecond, "200ms"},
		"0":      {0, "0s"},
		"-2d":    {-48 * time.Hour, "-2d"},
	} {
		var d app.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want.value || d.String() != want.text {
			t.Errorf("%s: got %v %v, want %s", text, d, err, want.text)
		}
	}
	for _, text := range []string{"", "d", "30", "1.5d", "106752d", "-106752d", "99999999999d", "1w", "30 d"} {
		var d app.Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, d)
		}
	}
}

func FuzzDuration(f *testing.F) {
	f.Add("30d")
	f.Add("1h30m")
	f.Add("-106751d")
	f.Fuzz(func(t *testing.T, text string) {
		var d, again app.Duration
		if d.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Errorf("%q was read as %v, and that as %v: %v", text, d, again, err)
		}
	})
}

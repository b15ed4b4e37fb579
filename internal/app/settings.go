package app

import (
	"encoding"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A Setting is one setting of a [Config], to be read and set by its key.
type Setting struct {
	Key    string // as "log_level"
	Group  string // where it belongs, as "server"
	Help   string // what it is for, in a sentence or two
	Secret bool   // never to be shown

	value reflect.Value
}

// Settings gives every setting in order. They are those of c: what is set is
// set there.
func (c *Config) Settings() []Setting {
	v := reflect.ValueOf(c).Elem()
	settings := make([]Setting, v.NumField())
	for i := range settings {
		tag := v.Type().Field(i).Tag
		settings[i] = Setting{
			Key: tag.Get("key"), Group: tag.Get("group"), Help: tag.Get("help"), Secret: tag.Get("secret") != "",
			value: v.Field(i),
		}
	}
	return settings
}

// Setting finds a setting by its key.
func (c *Config) Setting(key string) (Setting, bool) {
	for _, s := range c.Settings() {
		if s.Key == key {
			return s, true
		}
	}
	return Setting{}, false
}

// IsList tells whether the setting holds a list of strings.
func (s Setting) IsList() bool { return s.value.Kind() == reflect.Slice }

// IsText tells whether the setting holds text, a list of texts or a duration,
// and not a number or a truth value.
func (s Setting) IsText() bool {
	_, written := s.value.Interface().(encoding.TextMarshaler)
	return written || s.value.Kind() == reflect.String || s.IsList()
}

// Set reads the value from text; a list's members are parted by commas. It
// fails with a [SettingError], which does not quote a secret.
func (s Setting) Set(text string) error {
	if s.IsList() {
		var list []string
		for member := range strings.SplitSeq(text, ",") {
			if member = strings.TrimSpace(member); member != "" {
				list = append(list, member)
			}
		}
		return s.SetList(list)
	}
	if d, ok := s.value.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := d.UnmarshalText([]byte(text)); err != nil {
			return &SettingError{Key: s.Key, Problem: err.Error()}
		}
		return nil
	}
	switch s.value.Kind() {
	case reflect.String:
		s.value.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return &SettingError{Key: s.Key, Problem: fmt.Sprintf("%q is neither true nor false", text)}
		}
		s.value.SetBool(b)
	default: // int and int64: there is no other kind, as a test makes sure
		n, err := strconv.ParseInt(text, 10, s.value.Type().Bits())
		if err != nil {
			return &SettingError{Key: s.Key, Problem: fmt.Sprintf("%q is not an integer", text)}
		}
		s.value.SetInt(n)
	}
	return nil
}

// SetList sets a list's members. It fails with a [SettingError] on a setting
// that is no list.
func (s Setting) SetList(list []string) error {
	if !s.IsList() {
		return &SettingError{Key: s.Key, Problem: "it takes one value, not a list"}
	}
	s.value.Set(reflect.ValueOf(list))
	return nil
}

// SetFrom takes the value over from the setting of another Config.
func (s Setting) SetFrom(other *Config) {
	from, _ := other.Setting(s.Key)
	s.value.Set(from.value)
}

// List gives the members of a list.
func (s Setting) List() []string {
	list, _ := s.value.Interface().([]string)
	return list
}

// String gives the value in the form that [Setting.Set] reads. Of a secret it
// tells only whether it is set.
func (s Setting) String() string {
	switch {
	case s.Secret && s.value.Len() > 0:
		return "(set, not shown)"
	case s.IsList():
		return strings.Join(s.List(), ",")
	}
	return fmt.Sprint(s.value.Interface())
}

// String gives all settings and no secret.
func (c Config) String() string {
	var b strings.Builder
	for _, s := range c.Settings() {
		fmt.Fprintf(&b, "%s=%s ", s.Key, s)
	}
	return strings.TrimSuffix(b.String(), " ")
}

// GoString is [Config.String], so that %#v shows no secret either.
func (c Config) GoString() string { return c.String() }

// LogValue is what a log shows: [Config.String].
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// A Duration is a time span that is written as a Go duration or in days, as
// 90s, 1h30m or 30d.
type Duration time.Duration

const day = Duration(24 * time.Hour)

// String gives whole days as such, and leaves out what is zero.
func (d Duration) String() string {
	if d != 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText is [Duration.String].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the form that [Duration.String] writes.
func (d *Duration) UnmarshalText(text []byte) error {
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		if err == nil && n <= int64(maxDuration/day) && n >= -int64(maxDuration/day) {
			*d = Duration(n) * day
			return nil
		}
	} else if parsed, err := time.ParseDuration(string(text)); err == nil {
		*d = Duration(parsed)
		return nil
	}
	return fmt.Errorf("%q is not a time span such as 10s, 1h30m or 30d", text)
}

const maxDuration = Duration(1<<63 - 1)

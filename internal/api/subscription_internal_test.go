package api

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The cases of RFC 7396, appendix A, whose target is an object.
func TestMergePatchOfRFC7396AppendixA(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`{"a":"foo"}`, `{"b":{"c":null}}`, `{"a":"foo","b":{}}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		var target, patch map[string]json.RawMessage
		for text, to := range map[string]*map[string]json.RawMessage{tt.target: &target, tt.patch: &patch} {
			if err := json.Unmarshal([]byte(text), to); err != nil {
				t.Fatal(err)
			}
		}
		if err := mergePatch(target, patch); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(target); err != nil || string(got) != tt.want {
			t.Errorf("%s with %s: %s, %v; want %s", tt.target, tt.patch, got, err, tt.want)
		}
	}
}

// Whatever is patched: the outcome is JSON, a second time changes nothing, and
// what the patch takes away is gone.
func FuzzMergePatch(f *testing.F) {
	f.Add(`{"a":{"b":1}}`, `{"a":{"b":null,"c":{"d":null}}}`)
	f.Add(`{"a":[1]}`, `{"a":{"b":{}}}`)
	f.Fuzz(func(t *testing.T, before, change string) {
		var target, patch map[string]json.RawMessage
		if json.Unmarshal([]byte(before), &target) != nil || json.Unmarshal([]byte(change), &patch) != nil || target == nil {
			return
		}
		once := apply(t, target, patch)
		if twice := apply(t, target, patch); !cmp.Equal(once, twice) {
			t.Errorf("once %s, twice %s", once, twice)
		}
		for name, value := range patch {
			if _, there := target[name]; there == (string(value) == "null") {
				t.Errorf("%s patched with %s is there: %t", name, value, there)
			}
		}
	})
}

func apply(t *testing.T, target, patch map[string]json.RawMessage) string {
	t.Helper()
	if err := mergePatch(target, patch); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]bool{
		`"a"`: true, `"b", "a"`: true, `"b","a"`: true, "*": true,
		`"b"`: false, `W/"a"`: false, `a`: false, `"a`: false, "": false,
	} {
		if got := matches(list, `"a"`); got != want {
			t.Errorf("%s: %t", list, got)
		}
	}
}

// The tag changes with whatever is shown of a subscription.
func TestEntityTagsTellStatesApart(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	tag := func(s Subscription) string {
		text, err := entityTag(s)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	base := tag(Subscription{ID: 1, UpdatedAt: now})
	for name, other := range map[string]Subscription{
		"time":  {ID: 1, UpdatedAt: now.Add(time.Microsecond)},
		"state": {ID: 1, UpdatedAt: now, State: fattorino.Disabled},
		"id":    {ID: 2, UpdatedAt: now},
	} {
		if tag(other) == base {
			t.Errorf("another %s has the same tag", name)
		}
	}
	if tag(Subscription{ID: 1, UpdatedAt: now, Warnings: []string{"x"}}) != base {
		t.Error("a warning is no other state")
	}
}

// What only one answer holds must not be lost on the way.
func TestNoMemberIsLostBesideASecret(t *testing.T) {
	t.Parallel()
	s := Subscription{
		ID: 1, Company: 2, AppID: 3, Contract: "c", State: fattorino.Active, Sink: "s", Types: []string{"t"}, Filters: json.RawMessage(`[]`),
		Format: fattorino.Binary, Thin: true, Handshake: "h", Signature: "v", PublicKey: "p", HeaderNames: []string{"n"}, Rate: 4, AllowedRate: 5,
		Concurrency: 6, Schedule: []int{7}, Timeout: 8, Name: "na", Description: "d", Metadata: map[string]string{"m": "m"},
		EndsAt: time.Unix(1, 0), HandshakeError: "e", FirstErrorAt: time.Unix(2, 0), ExpiresAt: time.Unix(3, 0),
		CreatedAt: time.Unix(4, 0), UpdatedAt: time.Unix(5, 0), Warnings: []string{"w"},
	}
	members := func(v any) (m map[string]any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	want := members(s)
	if len(want) != 29 {
		t.Errorf("%d members are filled in here; are there others?", len(want))
	}
	want["secret"] = "hush"
	if diff := cmp.Diff(want, members(withSecret(s, "hush"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

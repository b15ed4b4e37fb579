package fic_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
)

func TestNew_RefusesWhatCannotStandInAHeader(t *testing.T) {
	t.Parallel()
	signer := newSigner(t)
	for name, o := range map[string]fic.Options{
		"no signer":                 {},
		"issuer without scheme":     {Signer: signer, Issuer: "api.example.com"},
		"issuer with a line break":  {Signer: signer, Issuer: "https://api.example.com/\r\nx"},
		"issuer outside ASCII":      {Signer: signer, Issuer: "https://fattorìno.example"},
		"user agent with line feed": {Signer: signer, UserAgent: "a\nb"},
	} {
		if _, err := fic.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Section 10: what each status means.
func TestJudge_EveryStatus(t *testing.T) {
	t.Parallel()
	c := newContract(t, fic.Options{})
	statuses := []int{0, 999}
	for status := 100; status < 600; status++ {
		statuses = append(statuses, status)
	}
	delivered := 0
	for _, status := range statuses {
		want := fattorino.Refuse
		switch {
		case status == 200 || status == 201 || status == 202 || status == 204 || status == 102:
			want = fattorino.Success
			delivered++
		case status == 410:
			want = fattorino.End
		case status == 0 || (status >= 500 && status <= 599):
			want = fattorino.Retry
		}
		if got := c.Judge(&fattorino.Answer{Status: status}); got != want {
			t.Errorf("status %d means %d, want %d", status, got, want)
		}
	}
	if delivered != 5 {
		t.Errorf("%d statuses count as delivered, want 5", delivered)
	}
}

func TestA4_NoAnswerIsRetriedLikeA5xx(t *testing.T) {
	t.Parallel()
	c := newContract(t, fic.Options{})
	for _, failure := range []fattorino.Failure{
		fattorino.FailedDNS, fattorino.FailedAddress, fattorino.FailedConnect, fattorino.FailedTLS,
		fattorino.FailedTimeout, fattorino.FailedReset, fattorino.FailedProtocol,
	} {
		if got := c.Judge(&fattorino.Answer{Failure: failure}); got != fattorino.Retry {
			t.Errorf("%s means %d, want Retry", failure, got)
		}
	}
}

// An interim status that nothing follows is reported with a failure; it is an
// answer all the same.
func TestJudge_AnInterimStatusThatIsFinal(t *testing.T) {
	t.Parallel()
	c := newContract(t, fic.Options{})
	for status, want := range map[int]fattorino.Verdict{101: fattorino.Refuse, 102: fattorino.Success, 103: fattorino.Refuse} {
		if got := c.Judge(&fattorino.Answer{Status: status, Failure: fattorino.FailedProtocol}); got != want {
			t.Errorf("status %d means %d, want %d", status, got, want)
		}
	}
}

func TestA4_FourAttemptsAtGrowingIntervals(t *testing.T) {
	t.Parallel()
	c := newContract(t, fic.Options{})
	for tries, want := range map[int]time.Duration{0: 0, 1: 5 * time.Second, 2: 25 * time.Second, 3: 125 * time.Second, 4: 0, 5: 0, 1000: 0, -1: 0} {
		got, again := c.Retry(nil, tries)
		if got != want || again != (want > 0) {
			t.Errorf("after %d tries: %v, %v; want %v", tries, got, again, want)
		}
	}
}

func TestRules_InNumbers(t *testing.T) {
	t.Parallel()
	c := newContract(t, fic.Options{})
	if c.Name() != "fic" {
		t.Errorf("name %q", c.Name())
	}
	if c.Expiry() != 240*time.Hour {
		t.Errorf("expiry %v, want ten days", c.Expiry())
	}
	want := fattorino.HandshakeLimits{Attempts: 5, Every: 10 * time.Minute, Timeout: 10 * time.Second}
	if got := c.Handshake(nil).Limits(); got != want {
		t.Errorf("handshake limits %+v, want %+v", got, want)
	}
}

// The challenge of the documentation's example.
const challenge = "292ff90a85ae68be5be1b2808a56cd183c3e8f72373b6cdda8e9dfd8e08f0f05"

func TestA11_OnlyTheChallengeAnsweredWith200PassesTheHandshake(t *testing.T) {
	t.Parallel()
	c := newContract(t, fic.Options{})
	body := func(s string) fattorino.Answer {
		return fattorino.Answer{Status: 200, Body: []byte(strings.ReplaceAll(s, "$", challenge))}
	}
	withStatus := func(status int) fattorino.Answer {
		a := body(`{"verification":"$"}`)
		a.Status = status
		return a
	}
	broken := body(`{"verification":"$"}`)
	broken.Truncated = true
	for _, tc := range []struct {
		name   string
		answer fattorino.Answer
		passes bool
	}{
		{"as documented", body(`{"verification":"$"}`), true},
		{"spread over lines", body("\n{\n\t\"verification\" : \"$\"\r\n}\n"), true},
		{"with other members", body(`{"ok":true,"verification":"$","nested":{"verification":"x"}}`), true},
		{"of another content type", fattorino.Answer{Status: 200, Header: []fattorino.Header{{Name: "Content-Type", Value: "text/html"}}, Body: body(`{"verification":"$"}`).Body}, true},
		{"written with escapes", body(strings.Replace(`{"verification":"$"}`, "$", `\u0032`+challenge[1:], 1)), true},
		{"as long as is looked at", body(`{"verification":"$"` + strings.Repeat(" ", 64<<10-len(challenge)-19) + `}`), true},

		{"longer than is looked at", body(`{"verification":"$"` + strings.Repeat(" ", 64<<10) + `}`), false},
		{"broken off", broken, false},
		{"status 201", withStatus(201), false},
		{"status 202", withStatus(202), false},
		{"status 204", withStatus(204), false},
		{"status 302", withStatus(302), false},
		{"status 410", withStatus(410), false},
		{"status 500", withStatus(500), false},
		{"no answer", fattorino.Answer{Failure: fattorino.FailedTimeout, Detail: "too slow"}, false},
		{"empty body", body(""), false},
		{"the bare challenge", body("$"), false},
		{"a JSON string", body(`"$"`), false},
		{"an array", body(`["$"]`), false},
		{"null", body("null"), false},
		{"no such member", body(`{"challenge":"$"}`), false},
		{"a member in other case", body(`{"Verification":"$"}`), false},
		{"a member inside data", body(`{"data":{"verification":"$"}}`), false},
		{"null in the member", body(`{"verification":null}`), false},
		{"an array in the member", body(`{"verification":["$"]}`), false},
		{"an empty string", body(`{"verification":""}`), false},
		{"in upper case", body(`{"verification":"` + strings.ToUpper(challenge) + `"}`), false},
		{"with a space", body(`{"verification":" $"}`), false},
		{"cut", body(`{"verification":"` + challenge[:63] + `"}`), false},
		{"another value", body(`{"verification":"` + strings.Repeat("0", 64) + `"}`), false},
		{"something after the object", body(`{"verification":"$"} x`), false},
		{"two objects", body(`{"verification":"$"}{"verification":"$"}`), false},
	} {
		_, err := c.Passed(challenge, &tc.answer)
		if passed := err == nil; passed != tc.passes {
			t.Errorf("%s: passed %v, want %v (%v)", tc.name, passed, tc.passes, err)
		}
		if err != nil && strings.Contains(err.Error(), challenge) {
			t.Errorf("%s: the error shows the challenge: %v", tc.name, err)
		}
	}
}

func FuzzPassed(f *testing.F) {
	for _, seed := range []string{`{"verification":"` + challenge + `"}`, `{"verification":["` + challenge + `"]}`, `[]`, `null`, `{"verification":1}`, "{", "\xff"} {
		f.Add([]byte(seed))
	}
	c := newContract(f, fic.Options{})
	f.Fuzz(func(t *testing.T, body []byte) {
		_, err := c.Passed(challenge, &fattorino.Answer{Status: 200, Body: body})
		if err == nil && !strings.Contains(strings.ToLower(string(body)), "verification") && !strings.Contains(string(body), `\u`) {
			t.Errorf("passed without the member: %q", body)
		}
		// What passes for this challenge passes for no other.
		if _, other := c.Passed(strings.Repeat("0", 64), &fattorino.Answer{Status: 200, Body: body}); err == nil && other == nil {
			t.Errorf("passes for any challenge: %q", body)
		}
	})
}

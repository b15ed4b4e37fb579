package ui

import (
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestATimeSpanIsWrittenForReaders(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration][2]string{
		0:                       {"0.0 ms", "0,0 ms"},
		3300 * time.Microsecond: {"3.3 ms", "3,3 ms"},
		10 * time.Millisecond:   {"10 ms", "10 ms"},
		999 * time.Millisecond:  {"999 ms", "999 ms"},
		2817 * time.Millisecond: {"2.82 s", "2,82 s"},
		12 * time.Second:        {"12.0 s", "12,0 s"},
	} {
		if got := [2]string{(&language{Code: "en"}).elapsed(d), (&language{Code: "fr"}).elapsed(d)}; got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestAMessageEndsOnce(t *testing.T) {
	t.Parallel()
	for _, msg := range []string{"it is wrong", "It is wrong."} {
		if got := (formFaults{}).take(&fattorino.Error{Msg: msg, Fix: "Mend it."}); got != strings.TrimSuffix(msg, ".")+". Mend it." {
			t.Errorf("got %q", got)
		}
	}
}

// A line through one point alone would not be seen.
func TestOnePointIsSeenWithoutAScript(t *testing.T) {
	t.Parallel()
	one := fattorino.Bucket{}
	one.Delivered, one.Latency[0] = 1, 1
	lines := linesOf([]fattorino.Bucket{{}, one, {}})
	for _, line := range lines {
		points := strings.Fields(line)
		if len(points) != 2 || points[0] == points[1] {
			t.Errorf("it is drawn as %q, want a line", line)
		}
	}
}

// A subscription whose sink refuses all is not called active and nothing more;
// what it has chosen is named as in the form.
func TestASubscriptionThatFailsIsSeenInTheLists(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.refused()
	f.publish("invoice.paid", 1, failingFrom)
	f.until(t, "discarded", failingFrom)
	b := f.signedIn(operator)
	for _, path := range []string{"/ui/companies/7/subscriptions", "/ui/subscriptions"} {
		for end := time.Now().Add(time.Minute); !strings.Contains(b.get(path).body, "Failing</span>"); {
			if time.Now().After(end) {
				t.Fatalf("%s: %s", path, b.get(path).body)
			}
		}
	}
	page := b.get(subscriptionPath(7, f.one().ID)).body
	if !strings.Contains(page, "<dd class=\"break\">None</dd>") && !strings.Contains(page, "<dd class=\"break\">Binary</dd>") {
		t.Errorf("what is chosen is not named: %s", page)
	}
	if strings.Contains(page, `data-label="Subscription"`) {
		t.Error("its deliveries name it, each")
	}
}

package main

import (
	"bufio"
	"strings"
	"testing"
	"time"
)

func TestTheSinkKnowsTheEventOfANotification(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		event      int
		ok         bool
	}{
		{"as Standard Webhooks has it", string(hmac.notification()), 3062300, true},
		{"as Fatture in Cloud has it", string(es256.notification()), 3062299, true},
		{"as it was published", `{"data":` + string(appendData(nil, 41)) + `}`, 41, true},
		{"not the welcome, which is about nothing", `{"data":{"ids":[]}}`, 0, false},
		{"not what is cut off", `{"data":{"id":`, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			event, ok := eventIn([]byte(tt.body))
			if ok != tt.ok || (ok && event != tt.event) {
				t.Errorf("eventIn = %d, %v; want %d, %v", event, ok, tt.event, tt.ok)
			}
		})
	}
}

func TestAnswersAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	const next = "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"
	for _, tt := range []struct {
		name, answer string
		fails        string
	}{
		{"with a length", next, ""},
		{"in chunks", "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1\r\n \r\n0\r\n\r\n", ""},
		{"refused", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nfull", "full"},
		{"cut off in the header", "HTTP/1.1 202 Accepted\r\nContent-", "EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := bufio.NewReader(strings.NewReader(tt.answer + next))
			if tt.fails == "EOF" {
				in = bufio.NewReader(strings.NewReader(tt.answer))
			}
			err := readAccepted(in)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Fatalf("the error is %v, want one with %q", err, tt.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := readAccepted(in); err != nil || in.Buffered() != 0 {
				t.Errorf("the answer after it: %v, %d bytes left", err, in.Buffered())
			}
		})
	}
}

func TestCasesAreChosenByNameOrLetter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ list, want string }{
		{"B", "B-HMAC B-ES256 B-HMAC-TLS B-ES256-TLS B-HMAC-PG B-ES256-PG B-HMAC-PG-2"},
		{"A-HMAC,H", "A-HMAC H"},
		{"E-hanging,G", "E-hanging G"},
	} {
		chosen, err := choose(cases([]int{2}), tt.list)
		if err != nil {
			t.Fatal(err)
		}
		if got := names(chosen); got != tt.want {
			t.Errorf("%q chooses %q, want %q", tt.list, got, tt.want)
		}
	}
	if _, err := choose(cases([]int{2}), "Z"); err == nil {
		t.Error("a name of no case was taken")
	}
	all, err := choose(cases([]int{2}), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.big {
			t.Errorf("%s takes many minutes and was not named", c.name)
		}
	}
}

func names(all []benchCase) string {
	var b []string
	for _, c := range all {
		b = append(b, c.name)
	}
	return strings.Join(b, " ")
}

func TestTheTableTellsMediansAndWhetherTheyHold(t *testing.T) {
	t.Parallel()
	r := newReport()
	for _, value := range []float64{0.3, 0.1, 0.2} {
		if err := r.add(measured{name: "A", figures: figures{ratio: value}, repeated: value == 0.1}, nil); err != nil {
			t.Fatal(err)
		}
	}
	earlier := newReport()
	earlier.At = time.Unix(0, 0)
	if err := earlier.add(measured{name: "A", figures: figures{ratio: 0.15}}, nil); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		limit float64
		want  string
	}{
		{0.2, "A × raw 0.200 0.100–0.300 ≥ 0.200 yes 0.150"},
		{0.25, "A × raw 0.200 0.100–0.300 ≥ 0.250 no 0.150"},
	} {
		var out strings.Builder
		r.print(&out, []benchCase{{name: "A", shows: []shown{{ratio, "≥", tt.limit}}}}, earlier)
		if table := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(table, tt.want) || !strings.Contains(table, "1 measured twice") {
			t.Errorf("the table lacks %q:\n%s", tt.want, out.String())
		}
	}
}

func TestARunIsReadBackFromTheHistory(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/new/bench.jsonl"
	for _, value := range []float64{1, 2} {
		r := newReport()
		if err := r.add(measured{name: "D", figures: figures{p50: value}}, nil); err != nil {
			t.Fatal(err)
		}
		if err := r.save(path); err != nil {
			t.Fatal(err)
		}
	}
	last, err := lastRun(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := last.figure("D", p50); got != "2" {
		t.Errorf("the last run has p50 %s, want 2", got)
	}
}

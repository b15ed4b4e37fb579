package interop_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

func readme(t *testing.T) string { return page(t, "README.md") }

// page gives a document of the project.
func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tour gives the steps of a document that are to be run, and fails where they
// are not as many.
func tour(t *testing.T, document string, count int) []string {
	t.Helper()
	var steps []string
	for _, match := range regexp.MustCompile("(?ms)^<!-- tour -->\n```sh\n(.*?)^```$").FindAllStringSubmatch(document, -1) {
		steps = append(steps, match[1])
	}
	if len(steps) != count {
		t.Fatalf("the tour has %d steps, want %d", len(steps), count)
	}
	return steps
}

func needShell(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the tour needs %s", tool)
		}
	}
}

// The tour of the README, run as it stands but for the ports and the token.
func TestTheTourOfTheReadmeLeadsWhereItSays(t *testing.T) {
	t.Parallel()
	needShell(t)
	s, sink := serve(t), freeURL(t)
	receiver := goExample(t)
	receiver.Env = append(os.Environ(), "FATTORINO="+s.url, "SINK="+sink)
	receiver.Stderr = t.Output()
	heard := start(t, receiver)
	if line := next(t, heard); line != "listening for "+sink {
		t.Fatalf("the receiver says %q", line)
	}
	here := strings.NewReplacer(
		"http://127.0.0.1:8480", s.url, "http://127.0.0.1:9001/", sink, "let-me-in-for-five-minutes", adminToken,
	)
	steps := tour(t, readme(t), 4)
	shell := openShell(t)
	step := func(i int, wants ...string) {
		t.Helper()
		said := shell.run(t, here.Replace(steps[i]))
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Fatalf("it says\n%s\nwant %s", said, want)
			}
		}
	}
	step(0, `{"id":1,"name":"Ledger"`)
	step(1, `"verified":true`)
	if line := next(t, heard); !strings.HasPrefix(line, welcome) {
		t.Fatalf("the receiver says %q", line)
	}
	step(2, `{"events":[{"id":"a-1","company":12345,"seq":1}]}`)
	if line := next(t, heard); !strings.HasPrefix(line, invoiceCreated+" company:12345 ids=[42] id=1:") {
		t.Fatalf("the receiver says %q", line)
	}
	s.waitDelivered(t, 12345, 2)
	step(3, `"entity":"invoice/42"`, `"status":204`, `"name":"ce-id"`, `"state":"pending"`, `"next":1}`)
	if line := next(t, heard); !strings.HasPrefix(line, invoiceCreated) {
		t.Fatalf("the receiver says %q, want the invoice again", line)
	}
}

// The tutorial in the page on Defacto, run as it stands but for the ports and
// the token.
func TestTheTutorialInThePageOnDefactoLeadsWhereItSays(t *testing.T) {
	t.Parallel()
	needShell(t)
	s, sink := serve(t, "--sandbox"), freeURL(t)
	receiver := nodeExample(t, "defacto.mjs")
	receiver.Env = append(os.Environ(), "SINK="+sink+"?key=a-long-random-text")
	receiver.Stderr = t.Output()
	heard := start(t, receiver)
	if line := next(t, heard); line != "listening" {
		t.Fatalf("the receiver says %q", line)
	}
	here := strings.NewReplacer(
		"http://127.0.0.1:8480", s.url, "http://127.0.0.1:9001/", sink, "let-me-in-for-five-minutes", adminToken,
	)
	steps := tour(t, page(t, "docs/contracts/defacto.md"), 4)
	shell := openShell(t)
	step := func(i int, want string) {
		t.Helper()
		if said := shell.run(t, here.Replace(steps[i])); !strings.Contains(said, want) {
			t.Fatalf("it says\n%s\nwant %s", said, want)
		}
	}
	hears := func(want string) {
		t.Helper()
		if line := next(t, heard); !strings.HasPrefix(line, want) {
			t.Fatalf("the receiver says %q, want %q", line, want)
		}
	}
	step(0, `{"message":"Hello!`)
	step(1, `"id":"defac700-0000-8000-8000-000000000001"`)
	step(2, `"status":"SUBMITTED"`)
	hears("Invoice.SUBMITTED status=SUBMITTED id=defac701-")
	hears("Invoice.VERIFIED status=VERIFIED id=defac701-")
	step(3, `"status":"DELETED"`)
	hears("Invoice.DELETED status=DELETED id=defac701-")
}

// A shell runs one script after another and remembers its variables, like the
// terminal of whoever follows the tour.
type shell struct {
	in  io.Writer
	out <-chan string
}

func openShell(t *testing.T) *shell {
	t.Helper()
	bash := exec.CommandContext(t.Context(), "bash", "-eu")
	bash.Stderr = t.Output()
	in, err := bash.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return &shell{in: in, out: start(t, bash)}
}

// run gives what the script prints.
func (s *shell) run(t *testing.T, script string) string {
	t.Helper()
	const end = "--- end of the step ---"
	if _, err := fmt.Fprintf(s.in, "%s\necho; echo '%s'\n", script, end); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for line := next(t, s.out); line != end; line = next(t, s.out) {
		said.WriteString(line + "\n")
	}
	return said.String()
}

// waitDelivered waits until the delivery's answer has been written.
func (s *server) waitDelivered(t *testing.T, company, delivery int) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.After(patience); ; {
		var shown struct{ Delivery struct{ State string } }
		s.call(t, http.MethodGet, fmt.Sprintf("/v1/companies/%d/deliveries/%d", company, delivery), adminToken, nil, http.StatusOK, &shown)
		if shown.Delivery.State == "delivered" {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("the delivery is %s", shown.Delivery.State)
		}
	}
}

func TestTheReadmeListsEverySettingWithItsDefault(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), binary, "config")
	command.Env = []string{"PATH=" + os.Getenv("PATH")} // and no setting
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "| setting | default | |\n|---|---|---|\n"
	var help []string
	setting := regexp.MustCompile(`^(?:# )?([a-z_]+): (.*?)(?: # default| \(default\))$`)
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		if m := setting.FindStringSubmatch(line); m != nil {
			want += fmt.Sprintf("| `%s` | %s | %s |\n", m[1], shownDefault(m[2]), strings.Join(help, " "))
			help = nil
		} else if text, ok := strings.CutPrefix(line, "# "); ok {
			help = append(help, text)
		}
	}
	if got := regexp.MustCompile(`(?m)^\|.*\n`).FindAllString(section(t, readme(t), "## Running it"), -1); strings.Join(got, "") != want {
		t.Errorf("the table of settings in the README is not up to date; it should be\n%s", want)
	}
}

// shownDefault gives a value of a settings file as the README shows it; empty
// for none.
func shownDefault(value string) string {
	switch value = strings.Trim(value, `"`); value {
	case "", "[]", "not set":
		return ""
	}
	return "`" + value + "`"
}

// section gives the text under a heading.
func section(t *testing.T, document, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(document, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("there is no heading %q", heading)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

package fic_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fic"
)

// An exchange is a recorded request and the status it must get.
type exchange struct {
	name, request string
	status        int
}

// readExchanges reads a file of testdata/exchanges. Line ends become those of
// HTTP in the header, and Content-Length says where the body ends.
func readExchanges(t *testing.T, name string) []exchange {
	t.Helper()
	raw, err := os.ReadFile("testdata/exchanges/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	length := regexp.MustCompile(`(?m)^Content-Length: (\d+)$`)
	var list []exchange
	for _, part := range regexp.MustCompile(`(?m)^=== `).Split(string(raw), -1)[1:] {
		title, rest, _ := strings.Cut(part, "\n")
		space := strings.LastIndex(title, " ")
		status, err := strconv.Atoi(title[space+1:])
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ := strings.Cut(rest, "\n\n")
		n := 0
		if m := length.FindStringSubmatch(head); m != nil {
			n, _ = strconv.Atoi(m[1]) // digits
		}
		list = append(list, exchange{
			name: title[:space], status: status,
			request: strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body[:n],
		})
	}
	return list
}

// enum gives the names that an SDK version can decode.
func enum(t *testing.T, version string) []string {
	t.Helper()
	var names []string
	for _, file := range []string{"types.txt", "groups.txt"} {
		for _, line := range goldenLines(t, file) {
			if file == "types.txt" || !strings.HasPrefix(line, " ") {
				names = append(names, strings.Fields(line)[0])
			}
		}
	}
	want := 78
	if version < "2.1.3" {
		for i, n := range names {
			names[i] = strings.NewReplacer("self_supplier_", "self_", "self_own_", "self_").Replace(n)
		}
		slices.Sort(names)
		names = slices.Compact(names)
		want = 74
	}
	if version < "2.1.1" {
		names = slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, "email_sent") })
		want = 74 - 10 - 1 // ten documents and the group
	}
	if len(names) != want {
		t.Fatalf("the enum of %s has %d names, want %d", version, len(names), want)
	}
	return named(names...)
}

// Section 13: the requests of the clients that exist, over a raw connection,
// and their way of reading the answers: strict shapes, strict enums.
func TestClients_SendWhatTheySendAndReadEveryAnswer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		file, recorded, userAgent string
		enum                      string // the version whose names it can read
	}{
		{"go-sdk", "FattureInCloud/2.1.3/Go-SDK", "FattureInCloud/2.1.3/Go-SDK", "2.1.3"},
		{"go-sdk", "FattureInCloud/2.1.3/Go-SDK", "FattureInCloud/2.1.2/Go-SDK", "2.1.2"},
		{"go-sdk", "FattureInCloud/2.1.3/Go-SDK", "FattureInCloud/2.1.0/Go-SDK", "2.1.0"},
		{"typescript-sdk", "FattureInCloud/2.1.2/TypeScript-SDK", "FattureInCloud/2.1.2/TypeScript-SDK", "2.1.2"},
		{"zapier", "FattureInCloud/2.0.0/Zapier", "FattureInCloud/2.0.0/Zapier", "2.1.3"},
	} {
		t.Run(tc.userAgent, func(t *testing.T) {
			t.Parallel()
			st := start(t, setting{})
			token := st.app("shop", []int64{12345}, "*")
			held := st.createAllBut(token, "entities.clients.delete", "entities.suppliers.delete", "received_documents.create")
			server := httptest.NewServer(st.door)
			defer server.Close()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }() // after the last answer
			answers := bufio.NewReader(conn)
			known := enum(t, tc.enum)
			id := ""
			for _, x := range readExchanges(t, tc.file) {
				raw := strings.NewReplacer("HOST", server.Listener.Addr().String(), "ACCESS_TOKEN", token, tc.recorded, tc.userAgent, "SUB230", id).Replace(x.request)
				if _, err := io.WriteString(conn, raw); err != nil {
					t.Fatal(err)
				}
				a := readAnswer(t, answers)
				if a.status != x.status {
					t.Fatalf("%s: answered %d %s, want %d", x.name, a.status, a.body, x.status)
				}
				for _, sub := range subscriptionsIn(t, x.name, a) {
					if *sub.ID != *held.ID {
						id = *sub.ID
					}
					for _, typ := range sub.Types {
						if !slices.Contains(known, typ) {
							t.Errorf("%s: %s cannot decode the type %s", x.name, tc.userAgent, typ)
						}
					}
				}
			}
		})
	}
}

// createAllBut subscribes to every type that is not excepted.
func (st *stack) createAllBut(token string, except ...string) sdkSubscription {
	st.t.Helper()
	var types []string
	for _, line := range goldenLines(st.t, "types.txt") {
		if typ := strings.Fields(line)[0]; !slices.Contains(except, typ) {
			types = append(types, typ)
		}
	}
	return st.create(token, "12345", deadSink, types...)
}

// readAnswer reads the next answer of a raw connection.
func readAnswer(t *testing.T, r *bufio.Reader) answer {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// subscriptionsIn reads an answer as an SDK does, and gives the subscriptions
// in it.
func subscriptionsIn(t *testing.T, operation string, a answer) []sdkSubscription {
	t.Helper()
	operation, _, _ = strings.Cut(operation, " ")
	if a.status == http.StatusOK && (operation == "delete" || operation == "verify") {
		if a.body != "" {
			t.Errorf("%s: answered %q, want nothing", operation, a.body)
		}
		return nil
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: content type %q: an SDK cannot decode it", operation, got)
	}
	switch {
	case a.status != http.StatusOK:
		if decode[sdkError](t, a.body).Error.Message == "" {
			t.Errorf("%s: no message in %s", operation, a.body)
		}
		return nil
	case operation == "list":
		return decode[sdkList](t, a.body).Data
	default:
		return []sdkSubscription{decode[sdkOne](t, a.body).Data}
	}
}

func TestA16_OldNamesAreTakenAndShownToThoseWhoKnowNoOthers(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	token := st.app("shop", nil, "*")
	body := wish(deadSink, "taxes.create", "issued_documents.self_invoices.create", "receipts.create", "issued_documents.self_invoices.email_sent")
	created := decode[sdkOne](t, st.do(request{
		method: http.MethodPost, path: "/c/12345/subscriptions", token: token, body: body, userAgent: "FattureInCloud/2.1.2/Go-SDK",
	}).want(t, http.StatusOK).body)
	if created.Warnings != nil {
		t.Errorf("warned: %q", created.Warnings)
	}
	for userAgent, want := range map[string][]string{
		"FattureInCloud/2.1.2/PHP-SDK": named("taxes.create", "issued_documents.self_invoices.create", "receipts.create", "issued_documents.self_invoices.email_sent"),
		"FattureInCloud/2.1.0/PHP-SDK": named("taxes.create", "issued_documents.self_invoices.create", "receipts.create"),
		"curl/8.5.0": named(
			"taxes.create", "issued_documents.self_supplier_invoices.create", "issued_documents.self_own_invoices.create", "receipts.create",
			"issued_documents.self_supplier_invoices.email_sent", "issued_documents.self_own_invoices.email_sent",
		),
	} {
		got := decode[sdkOne](t, st.do(request{method: http.MethodGet, path: pathOf(created.Data), token: token, userAgent: userAgent}).want(t, http.StatusOK).body)
		if diff := cmp.Diff(want, got.Data.Types); diff != "" {
			t.Errorf("%s (-want +got):\n%s", userAgent, diff)
		}
	}
	// The old name is one type to those who know no others: one warning, one reason.
	again := decode[sdkError](t, st.do(request{
		method: http.MethodPost, path: "/c/12345/subscriptions", token: token, userAgent: "FattureInCloud/2.1.2/Go-SDK",
		body: wish(deadSink, "issued_documents.self_invoices.create"),
	}).want(t, http.StatusUnprocessableEntity).body)
	want := map[string][]string{"data.types": {"The '" + prefix + "issued_documents.self_invoices.create' event is already registered for this application"}}
	if diff := cmp.Diff(want, again.Error.ValidationResult); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

func TestLog_HoldsNeitherTokensNorTheQueryOfASink(t *testing.T) {
	t.Parallel()
	st := start(t, setting{quotas: fic.PublishedQuotas()})
	token := st.app("shop", nil, "*")
	sub := st.create(token, "12345", deadSink, "taxes.create")
	st.do(request{method: http.MethodPost, path: pathOf(sub) + "/verify", token: token}).want(t, http.StatusOK)
	for _, secret := range []string{token, "key=secret", "secret"} {
		if log, _ := json.Marshal(st.log.String()); strings.Contains(string(log), secret) {
			t.Errorf("the log holds %q: %s", secret, log)
		}
	}
}

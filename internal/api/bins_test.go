package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/api"
)

// at makes a request to an address, as a sender of notifications would.
func (f *fixture) at(method, url, body string) (status int, header http.Header) {
	f.t.Helper()
	_, answer := f.exchange(call{method: method, path: strings.TrimPrefix(url, f.url), body: body})
	return answer.status, answer.header
}

func TestABinRecordsWhatIsSentToItAndAnswersAsItIsTold(t *testing.T) {
	t.Parallel()
	f := start(t)
	me := f.integrator("Warehouse")
	ask := func(method, path, body string) reply {
		t.Helper()
		return f.do(call{method: method, path: "/v1/bins" + path, token: me.token, body: body})
	}
	var bin api.Bin
	ask("POST", "", `{"name":"my receiver"}`).want(t, http.StatusCreated).decode(t, &bin)
	if left := time.Until(bin.EndsAt); bin.Name != "my receiver" || left < 6*24*time.Hour || !strings.HasPrefix(bin.URL, f.url+"/inspect/") || *bin.Answer.Status != 200 || !*bin.Answer.Proves {
		t.Fatalf("made %+v", bin)
	}
	for i := range 3 {
		if status, _ := f.at("POST", bin.URL+"/erp?n="+fmt.Sprint(i), fmt.Sprintf(`{"id":%d}`, i)); status != http.StatusOK {
			t.Fatalf("a new bin answers with %d", status)
		}
	}
	var page, rest api.BinRequestPage
	ask("GET", "/"+bin.ID+"/requests?limit=2", "").want(t, http.StatusOK).decode(t, &page)
	ask("GET", fmt.Sprintf("/%s/requests?limit=2&before=%d", bin.ID, page.Next), "").want(t, http.StatusOK).decode(t, &rest)
	var got []string
	for _, request := range append(page.Requests, rest.Requests...) {
		got = append(got, fmt.Sprint(request.Number, request.Method, request.Path, request.Body, request.Answered.Status, request.Answered.Why))
	}
	if want := []string{`3POST/erp{"id":2}200set`, `2POST/erp{"id":1}200set`, `1POST/erp{"id":0}200set`}; !cmp.Equal(got, want) || rest.Next != 0 {
		t.Errorf("recorded %q, want %q", got, want)
	}

	// It answers as it is told: so many fail first.
	ask("PUT", "/"+bin.ID+"/answer", `{"status":202,"fail":1,"fail_status":503,"headers":[{"name":"Retry-After","value":"30"}],"delay":0.01}`).want(t, http.StatusOK).decode(t, &bin)
	if *bin.Answer.Status != 202 || bin.Answer.Fail != 1 || bin.Requests != 3 || bin.Answer.Delay != 0.01 {
		t.Errorf("set to %+v", bin.Answer)
	}
	for _, want := range []int{503, 202} {
		if status, header := f.at("POST", bin.URL, "{}"); status != want || (want == 202 && header.Get("Retry-After") != "30") {
			t.Errorf("it answers with %d %v, want %d", status, header, want)
		}
	}
	for body, field := range map[string]string{
		`{"status":99}`: "status", `{"delay":31}`: "delay", `{"delay":1e300}`: "delay", `{"fail":-1}`: "fail", `{"headers":[{"name":"Set-Cookie","value":"x"}]}`: "header",
	} {
		if p := ask("PUT", "/"+bin.ID+"/answer", body).problem(t, http.StatusUnprocessableEntity); len(p.Errors) == 0 || p.Errors[0].Field != field {
			t.Errorf("%s: %+v, want a fault of %s", body, p.Errors, field)
		}
	}

	// It is the token's alone; whoever knows its address can send, and not read.
	others := map[string]string{"another app's": f.integrator("Rival").token, "the operator's": adminSecret, "the app's other one": f.token(fmt.Sprintf(`{"kind":"api","app_id":%d}`, 1))}
	for name, token := range others {
		for _, op := range []struct{ method, path, body string }{{"GET", "", ""}, {"DELETE", "", ""}, {"PUT", "/answer", "{}"}, {"GET", "/requests", ""}, {"DELETE", "/requests", ""}} {
			if got := f.do(call{method: op.method, path: "/v1/bins/" + bin.ID + op.path, token: token, body: op.body}); got.status != http.StatusNotFound {
				t.Errorf("%s token, %s %s: got %d, want 404", name, op.method, op.path, got.status)
			}
		}
		var list api.BinList
		f.do(call{method: "GET", path: "/v1/bins", token: token}).want(t, http.StatusOK).decode(t, &list)
		if len(list.Bins) != 0 {
			t.Errorf("%s token lists %d bins", name, len(list.Bins))
		}
	}
	f.do(call{method: "POST", path: "/v1/bins", token: f.token(`{"kind":"publish"}`), body: "{}"}).problem(t, http.StatusForbidden)

	// It can be emptied, and deleted; and there are no more than so many.
	ask("DELETE", "/"+bin.ID+"/requests", "").want(t, http.StatusNoContent)
	var empty api.BinRequestPage
	if ask("GET", "/"+bin.ID+"/requests", "").want(t, http.StatusOK).decode(t, &empty); len(empty.Requests) != 0 {
		t.Errorf("emptied, it has %d", len(empty.Requests))
	}
	for range 19 {
		ask("POST", "", `{}`).want(t, http.StatusCreated)
	}
	ask("POST", "", `{}`).problem(t, http.StatusTooManyRequests)
	ask("DELETE", "/"+bin.ID, "").want(t, http.StatusNoContent)
	ask("GET", "/"+bin.ID, "").problem(t, http.StatusNotFound)
	if status, _ := f.at("POST", bin.URL, "{}"); status != http.StatusNotFound {
		t.Errorf("deleted, it answers with %d", status)
	}
	for _, query := range []string{"?limit=0", "?limit=101", "?before=-1", "?after=1"} {
		ask("GET", "/x/requests"+query, "").problem(t, http.StatusBadRequest)
	}
}

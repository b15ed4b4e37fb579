package inspect_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
)

func TestARequestIsRecordedAsItCame(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin := f.bin()
	arrival := f.bins.Arrival(bin.ID)
	before := time.Now()
	got := f.post(f.sink(bin)+"/a/b%20c?x=1&x=2&y=%2F", "the body", fattorino.Header{Name: "X-Two", Value: "1"}, fattorino.Header{Name: "X-Two", Value: "2"}, fattorino.Header{Name: "Content-Type", Value: "text/csv"})
	if got.status != http.StatusOK || got.body != "" {
		t.Errorf("got %d %q, want 200 and nothing", got.status, got.body)
	}
	<-arrival // who looks is told
	r, _, _ := f.last(bin)
	if r.Number != 1 || r.Method != http.MethodPost || r.Path != "/a/b c" || r.Query != "x=1&x=2&y=%2F" || r.URL != f.sink(bin)+"/a/b%20c?x=1&x=2&y=%2F" ||
		string(r.Body) != "the body" || r.Cut || r.Remote != "127.0.0.1" || r.Proto != "HTTP/1.1" || r.At.Before(before) || r.ReadIn < 0 {
		t.Errorf("recorded: %+v", r)
	}
	var fields []string
	for _, h := range r.Header {
		if h.Name == "X-Two" || h.Name == "Content-Type" || h.Name == "Host" {
			fields = append(fields, h.Name+": "+h.Value)
		}
	}
	if want := "[Content-Type: text/csv Host: " + strings.TrimPrefix(f.url, "http://") + " X-Two: 1 X-Two: 2]"; fmt.Sprint(fields) != want {
		t.Errorf("the header: %v, want %s", fields, want)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, "BREW"} {
		f.send(&fattorino.Request{Method: method, URL: f.sink(bin)})
		if r, _, _ := f.last(bin); r.Method != method {
			t.Errorf("%s was recorded as %s", method, r.Method)
		}
	}
}

func TestABinAnswersAsItsOwnerHasSet(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin := f.bin()
	f.answers(bin, inspect.Answer{
		Status: http.StatusServiceUnavailable, FailStatus: 500, Body: `{"busy":true}`,
		Header: []fattorino.Header{{Name: "Retry-After", Value: "7"}, {Name: "Content-Type", Value: "application/problem+json"}},
	})
	got := f.post(f.sink(bin), "")
	if got.status != http.StatusServiceUnavailable || got.body != `{"busy":true}` || got.header.Get("Retry-After") != "7" || got.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %+v", got)
	}
	if r, _, _ := f.last(bin); r.Given.Why != inspect.Set || r.Given.Status != http.StatusServiceUnavailable || r.Given.Body != `{"busy":true}` {
		t.Errorf("recorded: %+v", r.Given)
	}
}

func TestTheFirstRequestsFailAndNoMore(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin := f.bin()
	f.answers(bin, inspect.Answer{Status: http.StatusAccepted, Proves: true, Fail: 2, FailStatus: http.StatusBadGateway})
	var got []int
	for i := range 4 {
		got = append(got, f.post(f.sink(bin), "").status)
		if i == 0 { // a challenge is answered, and does not count
			got = append(got, f.post(f.sink(bin), "", fattorino.Header{Name: "webhook-challenge", Value: "x"}).status)
		}
	}
	if fmt.Sprint(got) != "[502 200 502 202 202]" {
		t.Errorf("got %v", got)
	}
	list := f.recorded(bin)
	if first := list[len(list)-1].Given; first.Why != inspect.Failed || first.Left != 1 {
		t.Errorf("recorded of the first: %+v", first)
	}
}

func TestAnAnswerCanBeDelayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := open(t)
		bin := f.bin()
		f.answers(bin, inspect.Answer{Status: http.StatusAccepted, FailStatus: 500, Delay: 30 * time.Second})
		began := time.Now()
		if got := f.take(bin, ""); got != http.StatusAccepted || time.Since(began) != 30*time.Second {
			t.Errorf("got %d after %s, want 202 after 30 s", got, time.Since(began))
		}
		// Who waits no longer is waited for no longer.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, inspect.Path+bin.ID, nil)
		r.SetPathValue("bin", bin.ID)
		began = time.Now()
		f.bins.ServeHTTP(httptest.NewRecorder(), r)
		if took := time.Since(began); took != time.Second {
			t.Errorf("a sender that has gone was waited for, %s in all", took)
		}
		// Where too many wait already, the next is told at once.
		for range 128 {
			go f.take(bin, "")
		}
		time.Sleep(time.Second)
		began = time.Now()
		if got := f.take(bin, ""); got != http.StatusServiceUnavailable || time.Since(began) != 0 {
			t.Errorf("with too many waiting: got %d after %s, want 503 at once", got, time.Since(began))
		}
	})
}

// Whatever its owner sets, a bin's answer is never a page, a script, a cookie or
// a redirect of the origin that it is served on.
func TestAnAnswerIsNeverAPageOfThisOrigin(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin := f.bin()
	const page = "<script>alert(1)</script>"
	for _, typ := range []string{"", "text/html", "text/html; charset=utf-8", "application/xhtml+xml", "image/svg+xml", "text/xml", "text/javascript", "application/javascript", "text/css", "application/pdf", "nonsense", "multipart/x-mixed-replace; boundary=x"} {
		var header []fattorino.Header
		if typ != "" {
			header = []fattorino.Header{{Name: "content-type", Value: typ}}
		}
		f.answers(bin, inspect.Answer{Status: http.StatusOK, FailStatus: 500, Body: page, Header: header})
		got := f.send(&fattorino.Request{Method: http.MethodGet, URL: f.sink(bin)})
		if got.body != page || got.header.Get("Content-Type") != "text/plain; charset=utf-8" || !strings.HasPrefix(got.header.Get("Content-Security-Policy"), "sandbox; default-src 'none'") ||
			got.header.Get("X-Content-Type-Options") != "nosniff" || (typ != "" && !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment")) {
			t.Errorf("%s: got %v", typ, got.header)
		}
	}
	for _, name := range []string{"Set-Cookie", "Location", "Refresh", "Link", "Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options", "Clear-Site-Data", "Service-Worker-Allowed", "Access-Control-Allow-Origin", "X-Accel-Redirect", "X-Sendfile", "Strict-Transport-Security", "a b", ""} {
		err := f.bins.SetAnswer(t.Context(), owner, bin.ID, inspect.Answer{Status: 200, FailStatus: 500, Header: []fattorino.Header{{Name: name, Value: "x"}}})
		if fattorino.KindOf(err) != fattorino.Invalid {
			t.Errorf("a bin may answer with %q: %v", name, err)
		}
	}
}

func TestAnswersAreHeldToBounds(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin := f.bin()
	for field, a := range map[string]inspect.Answer{
		"status":      {Status: 199, FailStatus: 500},
		"fail_status": {Status: 200, FailStatus: 200},
		"delay":       {Status: 200, FailStatus: 500, Delay: time.Minute},
		"body":        {Status: 200, FailStatus: 500, Body: strings.Repeat("x", 16<<10+1)},
		"fail":        {Status: 200, FailStatus: 500, Fail: -1},
		"header":      {Status: 200, FailStatus: 500, Header: []fattorino.Header{{Name: "Retry-After", Value: "1\r\nSet-Cookie: x=y"}}},
	} {
		err := f.bins.SetAnswer(t.Context(), owner, bin.ID, a)
		if e := fattorino.AsError(err); e.Kind != fattorino.Invalid || len(e.Faults) != 1 || e.Faults[0].Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func TestABinKeepsTheLastFiveHundred(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := open(t)
		bin := f.bin()
		for i := range 503 {
			time.Sleep(10 * time.Millisecond) // as fast as it takes them
			if got := f.take(bin, fmt.Sprint(i)); got != http.StatusOK {
				t.Fatalf("number %d: got %d, want 200", i, got)
			}
		}
		list := f.recorded(bin)
		if len(list) != 500 || string(list[0].Body) != "502" || string(list[499].Body) != "3" {
			t.Errorf("there are %d, from %s to %s", len(list), list[len(list)-1].Body, list[0].Body)
		}
		now, err := f.bins.Bin(t.Context(), owner, bin.ID)
		if err != nil {
			t.Fatal(err)
		}
		page, err := f.bins.Requests(t.Context(), now, 100, 10)
		if err != nil || len(page) != 10 || page[0].Number != 99 || page[9].Number != 90 {
			t.Errorf("a page before 100: %d, %v", len(page), err)
		}
		if page, err := f.bins.Requests(t.Context(), now, 4, 10); err != nil || len(page) != 0 {
			t.Errorf("before the oldest: %d, %v", len(page), err)
		}
	})
}

// take has a bin take a request that comes without a connection, as tests on a
// clock of their own need it.
func (f *fixture) take(bin *inspect.Bin, body string) (status int) {
	f.t.Helper()
	r := httptest.NewRequestWithContext(f.t.Context(), http.MethodPost, inspect.Path+bin.ID, strings.NewReader(body))
	r.SetPathValue("bin", bin.ID)
	w := httptest.NewRecorder()
	f.bins.ServeHTTP(w, r)
	return w.Code
}

func TestWhatABinKeepsIsBoundedInBytesAsWell(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin := f.bin()
	body := strings.Repeat("x", 256<<10)
	for range 60 { // 20 MiB and more, as they are kept
		if got := f.post(f.sink(bin), body); got.status != http.StatusOK {
			t.Fatalf("got %d", got.status)
		}
	}
	now, err := f.bins.Bin(t.Context(), owner, bin.ID)
	if err != nil {
		t.Fatal(err)
	}
	if now.Size > 16<<20 || now.Kept() >= 60 || now.Kept() < 40 {
		t.Errorf("it keeps %d requests, %d bytes", now.Kept(), now.Size)
	}
	// One byte more in a body is too much, and said to the sender and the owner.
	if got := f.post(f.sink(bin), body+"x"); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d, want 413", got.status)
	}
	if r, _, _ := f.last(bin); !r.Cut || len(r.Body) != 4<<10 || r.Given.Why != inspect.TooLarge {
		t.Errorf("recorded: %d bytes, %+v", len(r.Body), r.Given)
	}
}

func TestABinTakesSoMuchInASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := open(t)
		bin, other := f.bin(), f.bin()
		for i := range 200 {
			if got := f.take(bin, ""); got != http.StatusOK {
				t.Fatalf("number %d at once: got %d, want 200", i, got)
			}
		}
		if got := f.take(bin, ""); got != http.StatusTooManyRequests {
			t.Errorf("one more: got %d, want 429", got)
		}
		if got := f.take(other, ""); got != http.StatusOK {
			t.Errorf("another bin: got %d, want 200", got)
		}
		time.Sleep(time.Second)
		if got := f.take(bin, ""); got != http.StatusOK {
			t.Errorf("a second later: got %d, want 200", got)
		}
		if n := len(f.recorded(bin)); n != 201 {
			t.Errorf("%d are recorded, want 201", n)
		}
	})
}

func TestWhatABinTakesInASecondIsCountedForAllNodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := open(t)
		two := &fixture{t: t, store: one.store, bins: inspect.New(one.bins.Config)}
		bin := one.bin()
		for i := range 100 {
			for node, f := range []*fixture{one, two} {
				if got := f.take(bin, ""); got != http.StatusOK {
					t.Fatalf("number %d at node %d: got %d, want 200", i, node, got)
				}
			}
		}
		for node, f := range []*fixture{one, two} {
			if got := f.take(bin, ""); got != http.StatusTooManyRequests {
				t.Errorf("one more at node %d: got %d, want 429", node, got)
			}
		}
		time.Sleep(10 * time.Millisecond)
		if got := two.take(bin, ""); got != http.StatusOK {
			t.Errorf("a hundredth of a second later: got %d, want 200", got)
		}
		if got := one.take(bin, ""); got != http.StatusTooManyRequests {
			t.Errorf("two more a hundredth of a second later: got %d, want 429", got)
		}
	})
}

func TestABinIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin := f.bin()
	f.post(f.sink(bin), "secret")
	const stranger = "user/eve"
	calls := map[string]func() error{
		"look":   func() error { _, err := f.bins.Bin(t.Context(), stranger, bin.ID); return err },
		"answer": func() error { return f.bins.SetAnswer(t.Context(), stranger, bin.ID, bin.Answer) },
		"key": func() error {
			return f.bins.AddKey(t.Context(), stranger, bin.ID, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
		},
		"keys":   func() error { return f.bins.ClearKeys(t.Context(), stranger, bin.ID) },
		"clear":  func() error { return f.bins.Clear(t.Context(), stranger, bin.ID) },
		"delete": func() error { return f.bins.Delete(t.Context(), stranger, bin.ID) },
	}
	for name, call := range calls {
		if err := call(); fattorino.KindOf(err) != fattorino.NotFound {
			t.Errorf("%s: got %v, want that there is no such bin", name, err)
		}
	}
	if list, err := f.bins.List(t.Context(), stranger); err != nil || len(list) != 0 {
		t.Errorf("a stranger's list: %v, %v", list, err)
	}
	if list, err := f.bins.List(t.Context(), owner); err != nil || len(list) != 1 || list[0].Kept() != 1 {
		t.Errorf("the owner's list: %v, %v", list, err)
	}
	if _, err := f.bins.Create(t.Context(), "", "x"); fattorino.KindOf(err) != fattorino.Denied {
		t.Errorf("a bin of nobody: %v", err)
	}
}

func TestAnOwnerHasSoManyBins(t *testing.T) {
	t.Parallel()
	f := open(t)
	for range 20 {
		f.bin()
	}
	if _, err := f.bins.Create(t.Context(), owner, ""); fattorino.KindOf(err) != fattorino.TooMany {
		t.Errorf("the next: %v, want that there are too many", err)
	}
	if _, err := f.bins.Create(t.Context(), "user/other", ""); err != nil {
		t.Errorf("another owner's: %v", err)
	}
	if _, err := f.bins.Create(t.Context(), "user/other", strings.Repeat("x", 101)); fattorino.KindOf(err) != fattorino.Invalid {
		t.Errorf("a long name: %v", err)
	}
}

func TestWhatIsDeletedIsGone(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin, other := f.bin(), f.bin()
	f.post(f.sink(bin), "1")
	f.post(f.sink(other), "2")
	if err := f.bins.Clear(t.Context(), owner, bin.ID); err != nil || len(f.recorded(bin)) != 0 {
		t.Errorf("after clearing there are %d, %v", len(f.recorded(bin)), err)
	}
	f.post(f.sink(bin), "3")
	if r, _, _ := f.last(bin); r.Number != 2 || len(f.recorded(bin)) != 1 {
		t.Errorf("the next has the number %d", r.Number)
	}
	if err := f.bins.Delete(t.Context(), owner, bin.ID); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{f.sink(bin), f.url + inspect.Path + "NOSUCHBIN", f.url + inspect.Path + "inspect_bin%2Fx"} {
		if got := f.post(url, ""); got.status != http.StatusNotFound || !strings.HasPrefix(got.header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: got %d, want 404", url, got.status)
		}
	}
	if f.documents("inspect_request") != 1 || len(f.recorded(other)) != 1 {
		t.Errorf("there are %d requests in the store, want those of the other bin", f.documents("inspect_request"))
	}
}

// documents counts those in the store.
func (f *fixture) documents(kind string) int {
	f.t.Helper()
	list, err := f.store.Documents(f.t.Context(), kind, 0, "", 1000)
	if err != nil {
		f.t.Fatal(err)
	}
	return len(list)
}

// A bin is there for seven days, and then it is not, in the store neither.
func TestABinEndsAfterSevenDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := open(t)
		bin := f.bin()
		f.bins.Start(t.Context())
		time.Sleep(7*24*time.Hour - time.Second)
		if got := f.take(bin, "x"); got != http.StatusOK {
			t.Errorf("a second before: got %d, want 200", got)
		}
		time.Sleep(time.Second)
		if got := f.take(bin, "x"); got != http.StatusNotFound {
			t.Errorf("after seven days: got %d, want 404", got)
		}
		if _, err := f.bins.Bin(t.Context(), owner, bin.ID); fattorino.KindOf(err) != fattorino.NotFound {
			t.Errorf("after seven days it is shown: %v", err)
		}
		later := f.bin()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if bins, requests := f.documents("inspect_bin"), f.documents("inspect_request"); bins != 1 || requests != 0 {
			t.Errorf("after seven days there are %d bins and %d requests in the store, want the later bin alone", bins, requests)
		}
		if _, err := f.bins.Bin(t.Context(), owner, later.ID); err != nil {
			t.Errorf("the later bin: %v", err)
		}
		if err := f.bins.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestKeysAreKeptSealedAndShownAsAHint(t *testing.T) {
	t.Parallel()
	f := open(t)
	bin := f.bin()
	const secret, public = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
	for _, text := range []string{secret, " " + public + "\n"} {
		if err := f.bins.AddKey(t.Context(), owner, bin.ID, text); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"", "whsec_", "whsec_short", "topsecret", "whpk_AAAA"} {
		err := f.bins.AddKey(t.Context(), owner, bin.ID, text)
		if fattorino.KindOf(err) != fattorino.Invalid || (text != "" && strings.Contains(err.Error(), "topsecret")) {
			t.Errorf("%q: got %v", text, err)
		}
	}
	now, err := f.bins.Bin(t.Context(), owner, bin.ID)
	if err != nil || len(now.Keys) != 2 || now.Keys[0].Hint != "whsec_…LaSw" || now.Keys[1].Hint != public {
		t.Errorf("the keys are %+v, %v", now.Keys, err)
	}
	document, err := f.store.Document(t.Context(), "inspect_bin", 0, bin.ID)
	if err != nil || strings.Contains(string(document.Body), "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") {
		t.Errorf("the secret is in the store as it is, %v", err)
	}
	if err := f.bins.ClearKeys(t.Context(), owner, bin.ID); err != nil {
		t.Fatal(err)
	}
	if now, err = f.bins.Bin(t.Context(), owner, bin.ID); err != nil || len(now.Keys) != 0 {
		t.Errorf("after clearing: %+v, %v", now.Keys, err)
	}
}

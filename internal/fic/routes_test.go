package fic_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
)

// No name is found in these tests, so that this one cannot be reached.
const deadSink = "https://example.com/notifications?key=secret"

func pathOf(s sdkSubscription) string { return "/c/12345/subscriptions/" + *s.ID }

func named(types ...string) []string {
	for i, typ := range types {
		types[i] = prefix + typ
	}
	return types
}

func TestCreate_AnswersAsDocumented(t *testing.T) {
	t.Parallel()
	receiver := newSink(t)
	st := start(t, setting{roots: receiver.roots()})
	token := st.app("shop", []int64{12345}, "*")
	st.create(token, "12345", receiver.URL+"/a", "entities.clients.delete")

	got := st.do(request{method: http.MethodPost, path: "/c/12345/subscriptions", token: token, body: `{"data":{"sink":"` + receiver.URL + `/notifications","types":["` +
		strings.Join(named("entities.all.delete", "received_documents.create"), `","`) + `"],"verification_method":"header","config":{"mapping":"binary"}}}`}).want(t, http.StatusOK)

	want := `{"data":{"id":"SUB2","sink":"` + receiver.URL + `/notifications","verified":true,"types":["` +
		strings.Join(named("entities.suppliers.delete", "received_documents.create"), `","`) + `"],"config":{"mapping":"binary"}},` +
		`"warnings":["The 'it.fattureincloud.webhooks.entities.clients.delete' event is already registered for this application"]}` + "\n"
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestA1_CreateAnswersUnverifiedWhereTheSinkDoesNotProveItself(t *testing.T) {
	t.Parallel()
	receiver := newSink(t)
	receiver.setAnswer(refusing)
	st := start(t, setting{roots: receiver.roots()})
	token := st.app("shop", nil, "*")
	created := st.create(token, "12345", receiver.URL, "taxes.create")
	if *created.Verified {
		t.Error("verified without proof")
	}
	got := decode[sdkOne](t, st.do(request{method: http.MethodGet, path: pathOf(created), token: token}).want(t, http.StatusOK).body)
	if *got.Data.Verified {
		t.Error("verified later without proof")
	}
}

func TestList_IsNeverNullAndHoldsOnlyTheAppsOwn(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	shop, bank := st.app("shop", nil, "*"), st.app("bank", nil, "*")
	list := request{method: http.MethodGet, path: "/c/12345/subscriptions", token: shop}
	if got := st.do(list).want(t, http.StatusOK).body; got != `{"data":[]}`+"\n" {
		t.Errorf("an empty list is %s", got)
	}
	first := st.create(shop, "12345", deadSink, "taxes.create")
	second := st.create(shop, "12345", deadSink, "taxes.update")
	st.create(shop, "67890", deadSink, "taxes.create")
	foreign := st.create(bank, "12345", deadSink, "taxes.create")

	if diff := cmp.Diff([]sdkSubscription{first, second}, decode[sdkList](t, st.do(list).body).Data); diff != "" {
		t.Errorf("the shop's list (-want +got):\n%s", diff)
	}
	list.token = bank
	if diff := cmp.Diff([]sdkSubscription{foreign}, decode[sdkList](t, st.do(list).body).Data); diff != "" {
		t.Errorf("the bank's list (-want +got):\n%s", diff)
	}
	list.token = adminSecret
	if got := len(decode[sdkList](t, st.do(list).body).Data); got != 3 {
		t.Errorf("the operator sees %d, want 3", got)
	}
}

func TestA10_OthersSubscriptionsAreNotThere(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	shop, bank := st.app("shop", nil, "*"), st.app("bank", nil, "*")
	sub := st.create(shop, "12345", deadSink, "taxes.create")
	for name, r := range map[string]request{
		"get":              {method: http.MethodGet, path: pathOf(sub), token: bank},
		"modify":           {method: http.MethodPut, path: pathOf(sub), token: bank, body: `{"data":{}}`},
		"delete":           {method: http.MethodDelete, path: pathOf(sub), token: bank},
		"verify":           {method: http.MethodPost, path: pathOf(sub) + "/verify", token: bank},
		"of other company": {method: http.MethodGet, path: "/c/67890/subscriptions/" + *sub.ID, token: shop},
	} {
		got := decode[sdkError](t, st.do(r).want(t, http.StatusNotFound).body)
		if got.Error.Code != "NOT_FOUND" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	st.do(request{method: http.MethodGet, path: pathOf(sub), token: shop}).want(t, http.StatusOK)
}

func TestIDs_AreTakenOnlyAsTheyWereGivenOut(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	token := st.app("shop", nil, "*")
	sub := st.create(token, "12345", deadSink, "taxes.create")
	if *sub.ID != "SUB1" {
		t.Fatalf("the first id is %s", *sub.ID)
	}
	st.do(request{method: http.MethodGet, path: "/c/12345/subscriptions/SUB1", token: token}).want(t, http.StatusOK)
	for _, path := range []string{
		"/c/12345/subscriptions/sub1", "/c/12345/subscriptions/SUB01", "/c/12345/subscriptions/1", "/c/12345/subscriptions/SUB",
		"/c/12345/subscriptions/SUB+1", "/c/12345/subscriptions/SUB-1", "/c/12345/subscriptions/SUB1%20", "/c/12345/subscriptions/SUB2",
		"/c/12345/subscriptions/SUB99999999999999999999", "/c/12345/subscriptions/SUB%2F1", "/c/12345/subscriptions/SUB1/",
		"/c/012345/subscriptions/SUB1", "/c/0/subscriptions", "/c/-1/subscriptions", "/c/abc/subscriptions", "/c/1e3/subscriptions",
		"/c/12345/subscriptions/", "/c/12345", "/c/", "/c/12345/clients", "/c/12345/subscriptions/SUB1/verify/", "/c/12345/subscriptions/SUB1/x",
	} {
		got := st.do(request{method: http.MethodGet, path: path, token: token})
		if got.status != http.StatusNotFound || decode[sdkError](t, got.body).Error.Code != "NOT_FOUND" {
			t.Errorf("%s: %d %s, want 404", path, got.status, got.body)
		}
	}
}

func TestMethods_ThatAPathDoesNotHaveAreToldInJSON(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	token := st.app("shop", nil, "*")
	for path, allowed := range map[string][]string{
		"/c/12345/subscriptions":             {"GET", "HEAD", "POST"},
		"/c/12345/subscriptions/SUB1":        {"DELETE", "GET", "HEAD", "PUT"},
		"/c/12345/subscriptions/SUB1/verify": {"POST"},
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"} {
			got := st.do(request{method: method, path: path, token: token, body: "{}"})
			if slices.Contains(allowed, method) {
				if got.status == http.StatusMethodNotAllowed {
					t.Errorf("%s %s is not allowed", method, path)
				}
				continue
			}
			if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != strings.Join(allowed, ", ") {
				t.Errorf("%s %s: %d, Allow %q; want 405, %q", method, path, got.status, got.header.Get("Allow"), allowed)
			}
			if decode[sdkError](t, got.body).Error.Code != "METHOD_NOT_ALLOWED" {
				t.Errorf("%s %s: %s", method, path, got.body)
			}
		}
	}
}

func TestTokens_DecideWhoMayCall(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	publisher := st.token(fattorino.Token{Kind: fattorino.PublishToken})
	elsewhere := st.app("shop", []int64{67890}, "*")
	for _, tc := range []struct {
		name, token, challenge, code string
		status                       int
	}{
		{"none", "", `Bearer realm="fattorino"`, "UNAUTHORIZED", http.StatusUnauthorized},
		{"unknown", "a/123", `Bearer realm="fattorino", error="invalid_token"`, "UNAUTHORIZED", http.StatusUnauthorized},
		{"of a platform", publisher, "", "NO_PERMISSION", http.StatusForbidden},
		{"of another company", elsewhere, "", "NO_PERMISSION", http.StatusForbidden},
	} {
		for _, r := range []request{
			{method: http.MethodGet, path: "/c/12345/subscriptions"},
			{method: http.MethodPost, path: "/c/12345/subscriptions", body: wish(deadSink, "taxes.create")},
			{method: http.MethodGet, path: "/c/12345/subscriptions/SUB1"},
			{method: http.MethodPut, path: "/c/12345/subscriptions/SUB1", body: `{"data":{}}`},
			{method: http.MethodDelete, path: "/c/12345/subscriptions/SUB1"},
			{method: http.MethodPost, path: "/c/12345/subscriptions/SUB1/verify"},
		} {
			r.token = tc.token
			got := st.do(r)
			if got.status != tc.status || decode[sdkError](t, got.body).Error.Code != tc.code {
				t.Errorf("token %s, %s %s: %d %s, want %d %s", tc.name, r.method, r.path, got.status, got.body, tc.status, tc.code)
			}
			if got := got.header.Get("WWW-Authenticate"); got != tc.challenge {
				t.Errorf("token %s: WWW-Authenticate %q, want %q", tc.name, got, tc.challenge)
			}
			if got := got.header.Get("Retry-After"); got != "" {
				t.Errorf("token %s: Retry-After %q says that this is a quota", tc.name, got)
			}
		}
	}
}

func TestA8_AllScopesOfAllTypesAreNeeded(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	for _, tc := range []struct {
		scopes, types []string
		status        int
	}{
		{[]string{"taxes:r"}, []string{"taxes.create"}, http.StatusOK},
		{[]string{"taxes:a"}, []string{"taxes.create"}, http.StatusOK}, // who may write may read
		{[]string{"receipts:r"}, []string{"taxes.create"}, http.StatusForbidden},
		{nil, []string{"taxes.create"}, http.StatusForbidden},
		{[]string{"taxes:r"}, []string{"taxes.create", "receipts.create"}, http.StatusForbidden},
		{[]string{"products:r"}, []string{"products.stock_update"}, http.StatusForbidden},
		{[]string{"products:r", "stock:r"}, []string{"products.stock_update"}, http.StatusOK},
		{[]string{"entity.clients:r"}, []string{"entities.all.create"}, http.StatusForbidden}, // a group needs those of all members
		{[]string{"entity.clients:r", "entity.suppliers:r"}, []string{"entities.all.create"}, http.StatusOK},
		{[]string{"issued_documents.invoices:r"}, []string{"issued_documents.e_invoices.status_update"}, http.StatusForbidden},
		{[]string{"issued_documents.self_invoices:r"}, []string{"issued_documents.self_invoices.create"}, http.StatusOK},
		{[]string{"*"}, []string{"issued_documents.all.email_sent"}, http.StatusOK},
	} {
		token := st.app("app", []int64{12345}, tc.scopes...)
		got := st.do(request{method: http.MethodPost, path: "/c/12345/subscriptions", token: token, body: wish(deadSink, tc.types...)})
		if got.status != tc.status {
			t.Errorf("scopes %v for %v: %d %s, want %d", tc.scopes, tc.types, got.status, got.body, tc.status)
		}
		if got.status == http.StatusForbidden && decode[sdkError](t, got.body).Error.Code != "NO_PERMISSION" {
			t.Errorf("scopes %v for %v: %s", tc.scopes, tc.types, got.body)
		}
	}
}

func TestA7_TypesThatCannotBeHadWarnWhileOthersAreLeft(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	token, other := st.app("shop", nil, "*"), st.app("bank", nil, "*")
	post := func(token string, types ...string) answer {
		return st.do(request{method: http.MethodPost, path: "/c/12345/subscriptions", token: token, body: wish(deadSink, types...)})
	}
	taken := func(typ string) string {
		return "The '" + prefix + typ + "' event is already registered for this application"
	}
	unknown := func(typ string) string { return "The '" + prefix + typ + "' event does not exist" }

	// Repeats inside one request are merged silently, groups and members too.
	first := decode[sdkOne](t, post(token, "entities.all.create", "entities.clients.create", "entities.all.create", "taxes.create").want(t, http.StatusOK).body)
	if diff := cmp.Diff(named("entities.clients.create", "entities.suppliers.create", "taxes.create"), first.Data.Types); diff != "" || first.Warnings != nil {
		t.Errorf("types (-want +got), warnings %q:\n%s", first.Warnings, diff)
	}
	// Names that do not exist, the welcome among them, and names that are taken.
	second := decode[sdkOne](t, post(token, "nothing", "entities.all.create", "taxes.update", "subscriptions.welcome", "nothing").want(t, http.StatusOK).body)
	if diff := cmp.Diff(named("taxes.update"), second.Data.Types); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	want := []string{unknown("nothing"), unknown("subscriptions.welcome"), taken("entities.clients.create"), taken("entities.suppliers.create")}
	if diff := cmp.Diff(want, second.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	// None left: refused, with the reasons.
	got := decode[sdkError](t, post(token, "taxes.create", "nothing").want(t, http.StatusUnprocessableEntity).body)
	if diff := cmp.Diff(map[string][]string{"data.types": {unknown("nothing"), taken("taxes.create")}}, got.Error.ValidationResult); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	// Another app has types of its own, and so has another company.
	if got := decode[sdkOne](t, post(other, "taxes.create").want(t, http.StatusOK).body); got.Warnings != nil {
		t.Errorf("another app is warned: %q", got.Warnings)
	}
	st.create(token, "67890", deadSink, "taxes.create")
	// What is deleted frees its types.
	st.do(request{method: http.MethodDelete, path: pathOf(first.Data), token: token}).want(t, http.StatusOK)
	if got := decode[sdkOne](t, post(token, "taxes.create").want(t, http.StatusOK).body); got.Warnings != nil {
		t.Errorf("a type that is free again warns: %q", got.Warnings)
	}
}

func TestCreate_RefusesWithTheField(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	token := st.app("shop", nil, "*")
	for _, tc := range []struct {
		name, body string
		status     int
		fields     []string
	}{
		{"null, as the Go SDK sends nothing", "null\n", http.StatusUnprocessableEntity, []string{"data"}},
		{"an empty object, as the TypeScript SDK does", "{}", http.StatusUnprocessableEntity, []string{"data"}},
		{"no body", "", http.StatusUnprocessableEntity, []string{"data"}},
		{"nothing in data", `{"data":{}}`, http.StatusUnprocessableEntity, []string{"data.sink", "data.types"}},
		{"an http sink", wish("http://example.com/hook", "taxes.create"), http.StatusUnprocessableEntity, []string{"data.sink"}},
		{"a sink inside the network", wish("https://10.0.0.1/hook", "taxes.create"), http.StatusUnprocessableEntity, []string{"data.sink"}},
		{"a sink with a fragment", wish("https://example.com/#x", "taxes.create"), http.StatusUnprocessableEntity, []string{"data.sink"}},
		{"a sink that is none", wish("ciao", "taxes.create"), http.StatusUnprocessableEntity, []string{"data.sink"}},
		{"a number for a sink", `{"data":{"sink":5,"types":["x"]}}`, http.StatusUnprocessableEntity, []string{"data.sink"}},
		{"no JSON", `{"data":`, http.StatusBadRequest, nil},
		{"no UTF-8", "{\"data\":{\"sink\":\"https://example.com/\xe0\"}}", http.StatusBadRequest, nil},
		{"compressed", "\x1f\x8b\x08\x00", http.StatusBadRequest, nil},
		{"too long", `{"data":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`, http.StatusRequestEntityTooLarge, nil},
	} {
		got := st.do(request{method: http.MethodPost, path: "/c/12345/subscriptions", token: token, body: tc.body})
		e := decode[sdkError](t, got.body).Error
		var fields []string
		for field, texts := range e.ValidationResult {
			fields = append(fields, field)
			if len(texts) == 0 || texts[0] == "" {
				t.Errorf("%s: no reason for %s", tc.name, field)
			}
		}
		slices.Sort(fields)
		if got.status != tc.status || !slices.Equal(fields, tc.fields) || e.Message == "" {
			t.Errorf("%s: %d %s, want %d and the fields %v", tc.name, got.status, got.body, tc.status, tc.fields)
		}
	}
	if got := decode[sdkList](t, st.do(request{method: http.MethodGet, path: "/c/12345/subscriptions", token: token}).body); len(got.Data) > 0 {
		t.Errorf("something was stored: %v", got)
	}
}

func TestA17_TheNumberOfSubscriptionsIsLimited(t *testing.T) {
	t.Parallel()
	st := start(t, setting{limits: fattorino.Limits{Subscriptions: 2, AwaitSink: time.Second}})
	token := st.app("shop", nil, "*")
	st.create(token, "12345", deadSink, "taxes.create")
	st.create(token, "12345", deadSink, "taxes.update")
	got := st.do(request{method: http.MethodPost, path: "/c/12345/subscriptions", token: token, body: wish(deadSink, "taxes.delete")}).want(t, http.StatusUnprocessableEntity)
	if e := decode[sdkError](t, got.body).Error; e.ValidationResult != nil || !strings.Contains(e.Message, "limit") {
		t.Errorf("refused with %s", got.body)
	}
	st.create(token, "67890", deadSink, "taxes.delete")
}

func TestA9_ModifyMergesAndReplacesTypesWhole(t *testing.T) {
	t.Parallel()
	receiver := newSink(t)
	st := start(t, setting{roots: receiver.roots()})
	token := st.app("shop", nil, "*")
	sub := st.create(token, "12345", receiver.URL, "entities.clients.delete", "taxes.create")
	st.create(token, "12345", receiver.URL, "receipts.create")
	put := func(body string) sdkOne {
		t.Helper()
		return decode[sdkOne](t, st.do(request{method: http.MethodPut, path: pathOf(sub), token: token, body: body}).want(t, http.StatusOK).body)
	}
	text := func(o sdkOne) string {
		return fmt.Sprintf("%s %v %v %s %d %v", *o.Data.ID, *o.Data.Sink == receiver.URL, *o.Data.Verified, *o.Data.Config.Mapping, len(o.Data.Types), o.Warnings)
	}

	// Types alone: the rest stays, and its own types do not stand in its way.
	got := put(`{"data":{"types":["` + strings.Join(named("taxes.create", "entities.all.delete", "receipts.create"), `","`) + `"]}}`)
	if diff := cmp.Diff(named("taxes.create", "entities.clients.delete", "entities.suppliers.delete"), got.Data.Types); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	if want := "SUB1 true true binary 3 [The 'it.fattureincloud.webhooks.receipts.create' event is already registered for this application]"; text(got) != want {
		t.Errorf("modified to\n%s, want\n%s", text(got), want)
	}
	// The mapping alone, nothing at all, and the same sink, which is no change.
	for _, body := range []string{`{"data":{"config":{"mapping":"structured"}}}`, `{"data":{}}`, `{"data":{"sink":"` + receiver.URL + `"}}`} {
		if got, want := text(put(body)), "SUB1 true true structured 3 []"; got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	if asked := len(receiver.asked()); asked != 2 {
		t.Errorf("the sink was asked %d times, want once for each subscription", asked)
	}
	// Types that leave none change nothing.
	st.do(request{method: http.MethodPut, path: pathOf(sub), token: token, body: `{"data":{"config":{"mapping":"binary"},"types":["x"]}}`}).want(t, http.StatusUnprocessableEntity)
	if got, want := text(put(`{"data":{}}`)), "SUB1 true true structured 3 []"; got != want {
		t.Errorf("after a refusal: %s, want %s", got, want)
	}
}

func TestA9_ANewSinkMustProveItself_InTheMethodAskedFor(t *testing.T) {
	t.Parallel()
	receiver := newSink(t)
	st := start(t, setting{roots: receiver.roots()})
	token := st.app("shop", nil, "*")
	sub := st.create(token, "12345", receiver.URL+"/one?key=1", "taxes.create")

	got := decode[sdkOne](t, st.do(request{method: http.MethodPut, path: pathOf(sub), token: token, body: `{"data":{"sink":"` + receiver.URL + `/two?key=2","verification_method":"query"}}`}).want(t, http.StatusOK).body)
	if !*got.Data.Verified || *got.Data.Sink != receiver.URL+"/two?key=2" {
		t.Errorf("modified to %+v", got.Data)
	}
	asked := receiver.asked()
	if len(asked) != 2 {
		t.Fatalf("asked %d times, want 2", len(asked))
	}
	one, two := asked[0], asked[1]
	if one.URL.RequestURI() != "/one?key=1" || len(one.Header.Get("x-fic-verification-challenge")) != 64 {
		t.Errorf("the first sink was asked %s, %v", one.URL, one.Header)
	}
	if two.URL.Path != "/two" || two.URL.Query().Get("key") != "2" || len(two.URL.Query().Get("x-fic-verification-challenge")) != 64 || two.Header.Get("x-fic-verification-challenge") != "" {
		t.Errorf("the second sink was asked %s, %v", two.URL, two.Header)
	}

	receiver.setAnswer(refusing)
	got = decode[sdkOne](t, st.do(request{method: http.MethodPut, path: pathOf(sub), token: token, body: `{"data":{"sink":"` + receiver.URL + `/three"}}`}).want(t, http.StatusOK).body)
	if *got.Data.Verified {
		t.Error("a new sink that proved nothing is verified")
	}
}

func TestDelete_AnswersWithNothing(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	token := st.app("shop", nil, "*")
	sub := st.create(token, "12345", deadSink, "taxes.create")
	remove := request{method: http.MethodDelete, path: pathOf(sub), token: token, body: "{}"} // Zapier sends one
	if got := st.do(remove).want(t, http.StatusOK); got.body != "" {
		t.Errorf("answered %q", got.body)
	}
	st.do(remove).want(t, http.StatusNotFound)
	st.do(request{method: http.MethodGet, path: pathOf(sub), token: token}).want(t, http.StatusNotFound)
}

func TestA6_VerifyIsThrottledAndOnceOnly(t *testing.T) {
	t.Parallel()
	receiver := newSink(t)
	receiver.setAnswer(refusing)
	st := start(t, setting{roots: receiver.roots()})
	token := st.app("shop", nil, "*")
	failing := st.create(token, "12345", receiver.URL+"/failing", "taxes.create")
	proved := st.create(token, "12345", receiver.URL+"/proved", "taxes.update")
	post := func(s sdkSubscription, body string) answer {
		return st.do(request{method: http.MethodPost, path: pathOf(s) + "/verify", token: token, body: body})
	}

	// The call is good whatever becomes of the challenge.
	if got := post(failing, "null\n").want(t, http.StatusOK); got.body != "" {
		t.Errorf("answered %q", got.body)
	}
	got := post(failing, "{}").want(t, http.StatusTooManyRequests)
	if after := got.header.Get("Retry-After"); after != "600" && after != "599" {
		t.Errorf("Retry-After %q, want ten minutes", after)
	}

	receiver.setAnswer(nil)
	post(proved, `{"data":{"verification_method":"query"}}`).want(t, http.StatusOK)
	if asked := receiver.asked(); asked[len(asked)-1].URL.Query().Get("x-fic-verification-challenge") == "" {
		t.Error("the challenge did not travel in the query")
	}
	if got := decode[sdkError](t, post(proved, "").want(t, http.StatusConflict).body); got.Error.Code != "CONFLICT" {
		t.Errorf("already verified: %+v", got)
	}
	post(failing, `{"data":{"verification_method":"carrier pigeon"}}`).want(t, http.StatusUnprocessableEntity)
}

func TestA15_AnExemptSinkIsVerifiedWithoutAChallenge(t *testing.T) {
	t.Parallel()
	receiver := newSink(t)
	st := start(t, setting{roots: receiver.roots(), exempt: func(sink string) bool { return strings.HasPrefix(sink, receiver.URL+"/zapier") }})
	token := st.app("zap", nil, "*")
	if sub := st.create(token, "12345", receiver.URL+"/zapier/hook", "taxes.create"); !*sub.Verified {
		t.Error("not verified")
	}
	if got := receiver.next(t); got.header.Get("ce-type") != prefix+"subscriptions.welcome" {
		t.Errorf("first came %v", got.header)
	}
	if asked := len(receiver.asked()); asked > 0 {
		t.Errorf("asked %d times", asked)
	}
}

// limit gives the one value of a RateLimit header, which must be spelled as in
// the documentation.
func (a answer) limit(name string) string {
	if values := a.header["RateLimit-"+name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

func TestQuotas_ArePrintedOnEveryAnswerAndKept(t *testing.T) {
	t.Parallel()
	st := start(t, setting{quotas: fic.Quotas{Hourly: 1000, Monthly: 4, Short: 300}})
	token := st.app("shop", nil, "*")
	for i, r := range []request{
		{method: http.MethodPost, path: "/c/12345/subscriptions", token: token, body: wish(deadSink, "taxes.create")},
		{method: http.MethodPost, path: "/c/12345/subscriptions", token: token, body: "{}"},
		{method: http.MethodGet, path: "/c/12345/subscriptions/SUB9", token: token},
		{method: http.MethodDelete, path: "/c/12345/subscriptions/SUB1", token: token},
	} {
		got := st.do(r)
		if left := got.limit("MonthlyRemaining"); left != fmt.Sprint(3-i) {
			t.Errorf("call %d: %q left, want %d", i+1, left, 3-i)
		}
		if got.limit("HourlyRemaining") != fmt.Sprint(999-i) || got.limit("HourlyLimit") != "1000" || got.limit("MonthlyLimit") != "4" {
			t.Errorf("call %d: %v", i+1, got.header)
		}
	}
	got := st.do(request{method: http.MethodGet, path: "/c/12345/subscriptions", token: token}).want(t, http.StatusForbidden)
	if e := decode[sdkError](t, got.body).Error; e.Code != "QUOTA_REACHED" || got.header.Get("Retry-After") == "" || got.limit("MonthlyRemaining") != "0" {
		t.Errorf("refused with %s, %v", got.body, got.header)
	}
}

func TestQuotas_ATokenThatDoesNotReachTheCompanyUsesNoneOfIts(t *testing.T) {
	t.Parallel()
	st := start(t, setting{quotas: fic.Quotas{Short: 2}})
	stranger, owner := st.app("stranger", []int64{67890}, "*"), st.app("shop", []int64{12345}, "*")
	for range 5 {
		st.do(request{method: http.MethodGet, path: "/c/12345/subscriptions", token: stranger}).want(t, http.StatusForbidden)
	}
	st.do(request{method: http.MethodGet, path: "/c/12345/subscriptions", token: owner}).want(t, http.StatusOK)
	st.do(request{method: http.MethodGet, path: "/c/12345/subscriptions", token: owner}).want(t, http.StatusOK)
	st.do(request{method: http.MethodGet, path: "/c/12345/subscriptions", token: owner}).want(t, http.StatusTooManyRequests)
}

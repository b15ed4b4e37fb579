package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestASubscriptionFromItsMakingToANotification(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)

	// When a subscription is made, its sink is asked, and the secret shown.
	answer := me.ask("POST", "", fmt.Sprintf(`{"sink":%q,"types":["invoice.paid"],"format":"structured","description":"Payments"}`, sink.url)).want(t, http.StatusCreated)
	var made api.SubscriptionWithSecret
	answer.decode(t, &made)
	receive(t, sink.asked)
	if made.State != fattorino.Active || made.Contract != "native" || made.Sink != sink.url || made.Company != 12345 || made.Description != "Payments" {
		t.Errorf("%s", answer.body)
	}
	if !strings.HasPrefix(made.Secret, "whsec_") || made.PublicKey != "" {
		t.Errorf("secret of %d characters, public key %q", len(made.Secret), made.PublicKey)
	}
	if got, want := answer.header.Get("Location"), fmt.Sprintf("%s/%d", subscriptions, made.ID); got != want {
		t.Errorf("Location %q, want %q", got, want)
	}

	// It is read at its location, as the same thing with no secret.
	shown, tag := me.read(made.ID)
	if tag == "" || tag != answer.header.Get("ETag") {
		t.Errorf("ETag %s when it was made, %s when it is read", answer.header.Get("ETag"), tag)
	}
	if shown.ID != made.ID || shown.Sink != sink.url || !shown.CreatedAt.Equal(made.CreatedAt) {
		t.Errorf("%+v", shown)
	}

	// Then what happens is told, and can be verified with the secret.
	f.publish(event("other", "invoice.created", ""), event("paid", "invoice.paid", `,"data":{"id":42}`))
	n := sink.next()
	if !n.verified(t, made.Secret) {
		t.Error("the notification cannot be verified with the secret")
	}
	if !strings.Contains(string(n.body), `"id":"paid"`) {
		t.Errorf("%s", n.body)
	}
	f.settled(me.token, "", 1)
	sink.quiet()

	// And once it is deleted it is not there any more.
	path := fmt.Sprintf("/%d", made.ID)
	me.ask("DELETE", path, "").want(t, http.StatusNoContent)
	me.ask("GET", path, "").problem(t, http.StatusNotFound)
	me.ask("DELETE", path, "").problem(t, http.StatusNotFound)
}

func TestEveryChoiceIsKept(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	made := me.subscribe(sink, `["invoice.*","stock.moved"]`, `,"contract":"native","filters":[{"exact":{"source":"/erp"}}],
		"format":"standard","thin":true,"handshake":"challenge","signature":"v1","ordering":"entity","rate":600,"concurrency":4,"schedule":[5,300],
		"timeout":20,"name":"Payments","description":"To the books","metadata":{"team":"blue"},"ends_at":"2099-12-31T23:59:59Z",
		"headers":{"X-Second":"2","Authorization":"hush-header"},"verification_method":"query"`)
	want := api.Subscription{
		ID: made.ID, Company: 12345, AppID: made.AppID, Contract: "native", State: fattorino.Active, Sink: sink.url,
		Types: []string{"invoice.*", "stock.moved"}, Filters: json.RawMessage(`[{"exact":{"source":"/erp"}}]`),
		Format: fattorino.Standard, Thin: true, Handshake: "challenge", Signature: "v1", Ordering: "entity", HeaderNames: []string{"Authorization", "X-Second"},
		Rate: 600, Concurrency: 4, Schedule: []int{5, 300}, Timeout: 20, Name: "Payments", Description: "To the books",
		Metadata: map[string]string{"team": "blue"}, EndsAt: time.Date(2099, 12, 31, 23, 59, 59, 0, time.UTC),
		CreatedAt: made.CreatedAt, UpdatedAt: made.UpdatedAt,
	}
	shown, _ := me.read(made.ID)
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if made.AppID == 0 {
		t.Error("it belongs to no app")
	}
	// What may be right and looks wrong is said.
	if len(made.Warnings) != 1 || !strings.Contains(made.Warnings[0], `"stock.moved"`) {
		t.Errorf("warnings %q", made.Warnings)
	}
	// Header fields of the subscriber's own come with each notification.
	f.publish(`{"specversion":"1.0","id":"p","source":"/erp","type":"invoice.paid","companyid":"12345"}`)
	if got := sink.next().header.Get("Authorization"); got != "hush-header" {
		t.Errorf("Authorization %q", got)
	}
}

func TestAWildcardThatMatchesNothingIsDoubted(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	for types, want := range map[string][]string{
		`["*"]`: nil, `["invoice.*"]`: nil,
		`["invoce.*","invoice.*"]`: {`"invoce.*" matches no type in any catalog`},
	} {
		if made := me.subscribe(sink, types, ""); !slices.Equal(made.Warnings, want) {
			t.Errorf("%s: warnings %q, want %q", types, made.Warnings, want)
		}
	}
}

func TestWishesThatAreRefusedNameTheirFault(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	for _, tt := range []struct {
		name, body, field string
		status            int
	}{
		{"no sink", `{"types":["a.b"]}`, "sink", 422},
		{"a sink without its query, as lists have it", `{"sink":"https://example.com/hook?…","types":["a.b"]}`, "sink", 422},
		{"a sink that is none", `{"sink":"ftp://example.com","types":["a.b"]}`, "", 422},
		{"no types", `{"sink":"SINK","types":[]}`, "types", 422},
		{"a type that cannot be one", `{"sink":"SINK","types":["invoice.paid","in*oice.paid"]}`, "types.1", 422},
		{"an unknown contract", `{"sink":"SINK","types":["a.b"],"contract":"nobody"}`, "contract", 422},
		{"a contract with an API of its own", `{"sink":"SINK","types":["` + created + `"],"contract":"fic"}`, "", 409},
		{"a format that is none", `{"sink":"SINK","types":["a.b"],"format":"xml"}`, "format", 422},
		{"a handshake that is none", `{"sink":"SINK","types":["a.b"],"handshake":"firm"}`, "handshake", 422},
		{"a signature that is none", `{"sink":"SINK","types":["a.b"],"signature":"rot13"}`, "signature", 422},
		{"a signature that is not offered", `{"sink":"SINK","types":["a.b"],"signature":"jwt"}`, "signature", 422},
		{"a way that is none", `{"sink":"SINK","types":["a.b"],"verification_method":"pigeon"}`, "verification_method", 422},
		{"a batch of another format", `{"sink":"SINK","types":["a.b"],"batch_size":2}`, "batch_size", 422},
		{"a batch that is too large", `{"sink":"SINK","types":["a.b"],"format":"batch","batch_size":1001}`, "batch_size", 422},
		{"a batch that waits too long", `{"sink":"SINK","types":["a.b"],"format":"batch","batch_linger":60.5}`, "batch_linger", 422},
		{"a batch that waits for ever", `{"sink":"SINK","types":["a.b"],"format":"batch","batch_linger":1e300}`, "batch_linger", 422},
		{"a batch that waits for no time", `{"sink":"SINK","types":["a.b"],"format":"batch","batch_linger":-1e300}`, "batch_linger", 422},
		{"a template of another format", `{"sink":"SINK","types":["a.b"],"template":"{{.Noun}}"}`, "template", 422},
		{"a template that is wrong", `{"sink":"SINK","types":["a.b"],"format":"slack","template":"{{.Noun"}`, "template", 422},
		{"a handshake with a chat", `{"sink":"SINK","types":["a.b"],"format":"discord","handshake":"challenge"}`, "handshake", 422},
		{"an ordering that is none", `{"sink":"SINK","types":["a.b"],"ordering":"alphabetical"}`, "ordering", 422},
		{"an ordering of batches", `{"sink":"SINK","types":["a.b"],"ordering":"strict","format":"batch"}`, "ordering", 422},
		{"a rate below 1", `{"sink":"SINK","types":["a.b"],"rate":-1}`, "rate", 422},
		{"a time that is too long", `{"sink":"SINK","types":["a.b"],"timeout":99999999999}`, "timeout", 422},
		{"a wait of nothing", `{"sink":"SINK","types":["a.b"],"schedule":[5,0]}`, "schedule.1", 422},
		{"a wait that is negative", `{"sink":"SINK","types":["a.b"],"schedule":[5,-1]}`, "schedule.1", 422},
		{"a timeout that is negative", `{"sink":"SINK","types":["a.b"],"timeout":-1}`, "timeout", 422},
		{"a wait that is too long", `{"sink":"SINK","types":["a.b"],"schedule":[5,9223372036854775807]}`, "schedule.1", 422},
		{"an end that is no time", `{"sink":"SINK","types":["a.b"],"ends_at":"tomorrow"}`, "ends_at", 422},
		{"an end in the past", `{"sink":"SINK","types":["a.b"],"ends_at":"2001-01-01T00:00:00Z"}`, "ends_at", 422},
		{"a header that is not for subscribers", `{"sink":"SINK","types":["a.b"],"headers":{"Host":"x"}}`, "headers", 422},
		{"a text that is a number", `{"sink":"SINK","types":["a.b"],"name":7}`, "name", 422},
		{"a member that nobody knows", `{"sink":"SINK","types":["a.b"],"state":"active"}`, "", 422},
		{"no JSON", `{`, "", 400},
	} {
		p := me.ask("POST", "", strings.ReplaceAll(tt.body, "SINK", sink.url)).problem(t, tt.status)
		if tt.field != "" && (len(p.Errors) != 1 || p.Errors[0].Field != tt.field) {
			t.Errorf("%s: %+v, want %s to be named", tt.name, p, tt.field)
		}
		if tt.status == 409 && !strings.Contains(p.Fix, "/c/{company_id}/subscriptions") {
			t.Errorf("%s: fix %q", tt.name, p.Fix)
		}
	}
	if n := len(sink.asked); n > 0 {
		t.Errorf("the sink was asked %d times", n)
	}
}

func TestWildcardsAndFiltersSayWhatIsHeard(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	me.subscribe(sink, `["invoice.*"]`, `,"filters":[{"data":{"pointer":"/country","in":["IT","ES"]}},{"sql":"source <> '/draft'"}]`)
	f.publish(
		event("a", "customer.created", `,"data":{"id":1,"country":"IT"}`),
		event("b", "invoice.created", `,"data":{"id":1,"country":"FR"}`),
		event("c", "invoice.created", `,"data":{"id":1,"country":"IT"}`),
		`{"specversion":"1.0","id":"d","source":"/draft","type":"invoice.paid","companyid":"12345","data":{"country":"IT"}}`,
		event("e", "invoice.of.another.sort", `,"data":{"id":1,"country":"ES"}`),
	)
	var got []string
	for _, d := range f.settled(me.token, "", 2) {
		got = append(got, d.Event.ID)
	}
	if diff := cmp.Diff([]string{"e", "c"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFilterThatCannotBeUnderstoodIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	made := me.subscribe(sink, `["*"]`, "")
	for filters, place := range map[string]string{
		`[{"exact":{"type":"a"}},{"fuzzy":{"type":"a"}}]`: "filters.1",
		`[{"sql":"type = = 'a'"}]`:                        "filters.0.sql",
		`[{"any":[]}]`:                                    "filters.0.any",
		`{"exact":{"type":"a"}}`:                          "filters",
	} {
		for method, path := range map[string]string{"POST": "", "PATCH": fmt.Sprintf("/%d", made.ID)} {
			body := fmt.Sprintf(`{"sink":%q,"types":["*"],"filters":%s}`, sink.url, filters)
			p := me.ask(method, path, body).problem(t, http.StatusUnprocessableEntity)
			if len(p.Errors) != 1 || !strings.HasPrefix(p.Errors[0].Field, place) {
				t.Errorf("%s %s: %+v, want a fault at %s", method, filters, p, place)
			}
			if strings.Contains(filters, "sql") && !strings.ContainsAny(p.Errors[0].Detail+p.Detail, "0123456789") {
				t.Errorf("%s: no position in %+v", filters, p)
			}
		}
	}
}

func TestAPatchChangesWhatItNames(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	made := me.subscribe(sink, `["invoice.paid","invoice.created"]`,
		`,"name":"Payments","description":"old","rate":60,"metadata":{"a":"1","b":"2"},"headers":{"X-One":"hush-header","X-Two":"2"},"filters":[{"prefix":{"type":"inv"}}]`)
	path := fmt.Sprintf("/%d", made.ID)
	want, _ := me.read(made.ID)
	for _, step := range []struct {
		name, patch string
		expect      func(*api.Subscription)
	}{
		{"nothing", `{}`, func(*api.Subscription) {}},
		{"a text and a number", `{"description":"new","rate":120}`, func(s *api.Subscription) { s.Description, s.Rate = "new", 120 }},
		{"null takes away", `{"description":null,"rate":null,"filters":null}`, func(s *api.Subscription) { s.Description, s.Rate, s.Filters = "", 0, nil }},
		{"null of what is not there", `{"timeout":null}`, func(*api.Subscription) {}},
		{"entries by themselves", `{"metadata":{"a":null,"c":"3"},"headers":{"X-Two":null,"X-Three":"3"}}`, func(s *api.Subscription) {
			s.Metadata, s.HeaderNames = map[string]string{"b": "2", "c": "3"}, []string{"X-One", "X-Three"}
		}},
		{"lists whole", `{"types":["invoice.paid"],"schedule":[1,2,3]}`, func(s *api.Subscription) { s.Types, s.Schedule = []string{"invoice.paid"}, []int{1, 2, 3} }},
		{"filters", `{"filters":[{"exact":{"type":"invoice.paid"}}]}`, func(s *api.Subscription) { s.Filters = json.RawMessage(`[{"exact":{"type":"invoice.paid"}}]`) }},
		{"the end", `{"ends_at":"2098-01-01T00:00:00+01:00"}`, func(s *api.Subscription) { s.EndsAt = time.Date(2097, 12, 31, 23, 0, 0, 0, time.UTC) }},
		{"the end, renewed", `{"ends_at":"2099-01-01T00:00:00Z"}`, func(s *api.Subscription) { s.EndsAt = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"no end any more", `{"ends_at":null}`, func(s *api.Subscription) { s.EndsAt = time.Time{} }},
		{"the same sink", fmt.Sprintf(`{"sink":%q}`, sink.url), func(*api.Subscription) {}},
		{"the form", `{"format":"standard","thin":true}`, func(s *api.Subscription) { s.Format, s.Thin = fattorino.Standard, true }},
	} {
		var got api.Subscription
		me.ask("PATCH", path, step.patch, "Content-Type", "application/merge-patch+json").want(t, http.StatusOK).decode(t, &got)
		step.expect(&want)
		if got.UpdatedAt.Before(want.UpdatedAt) {
			t.Errorf("%s: updated at %v, before at %v", step.name, got.UpdatedAt, want.UpdatedAt)
		}
		want.UpdatedAt = got.UpdatedAt
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		if kept, _ := me.read(made.ID); !cmp.Equal(got, kept) {
			t.Errorf("%s: answered and kept differ: %s", step.name, cmp.Diff(got, kept))
		}
	}
	// Values that the patches did not name are still sent, though none was shown.
	f.publish(event("paid", "invoice.paid", ""))
	n := sink.next()
	if n.header.Get("X-One") != "hush-header" || n.header.Get("X-Three") != "3" || n.header.Get("X-Two") != "" {
		t.Errorf("%v", n.header)
	}
	if !n.verified(t, made.Secret) {
		t.Error("a patch has changed the secret")
	}
	if len(sink.asked) != 1 {
		t.Errorf("the sink was asked %d times, want once", len(sink.asked))
	}
}

func TestPatchesThatAreRefusedChangeNothing(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	made := me.subscribe(sink, `["invoice.paid"]`, "")
	path := fmt.Sprintf("/%d", made.ID)
	before, _ := me.read(made.ID)
	for patch, status := range map[string]int{
		`{"color":"red"}`:                    422,
		`{"id":7}`:                           422,
		`{"state":"disabled"}`:               422,
		`{"contract":"fic"}`:                 422,
		`{"signature":"v1a"}`:                422,
		`{"ordering":"strict"}`:              422,
		`{"sink":null}`:                      422,
		`{"types":[]}`:                       422,
		`{"name":["x"]}`:                     422,
		`{"metadata":{"a":{"b":"c"}}}`:       422,
		`{"ends_at":"2001-01-01T00:00:00Z"}`: 422,
		`[]`:                                 422,
		`null`:                               422,
		`{"name":`:                           400,
	} {
		me.ask("PATCH", path, patch).problem(t, status)
	}
	if after, _ := me.read(made.ID); !cmp.Equal(before, after) {
		t.Errorf("it has changed: %s", cmp.Diff(before, after))
	}
}

func TestANewSinkIsAskedFirst(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink, second := f.integrator("Warehouse"), newSink(t), newSink(t)
	made := me.subscribe(sink, `["*"]`, "")
	second.reticent.Store(true)
	path := fmt.Sprintf("/%d", made.ID)

	// A sink that does not consent is sent nothing,
	var moved api.Subscription
	me.ask("PATCH", path, fmt.Sprintf(`{"sink":%q}`, second.url)).want(t, http.StatusOK).decode(t, &moved)
	if moved.State != fattorino.Unverified || moved.HandshakeError == "" || moved.Sink != second.url {
		t.Errorf("%+v", moved)
	}
	me.ask("POST", path+"/test", `{"type":"invoice.paid"}`).problem(t, http.StatusConflict)
	me.ask("POST", path+"/disable", "").problem(t, http.StatusConflict)

	// until it does, by the way that is chosen.
	second.reticent.Store(false)
	me.ask("POST", path+"/verify", `{"method":"pigeon"}`).problem(t, http.StatusUnprocessableEntity)
	var verified api.Subscription
	me.ask("POST", path+"/verify", `{"method":"query"}`).want(t, http.StatusOK).decode(t, &verified)
	if verified.State != fattorino.Active || verified.HandshakeError != "" {
		t.Errorf("%+v", verified)
	}
	receive(t, second.asked)
	if asked := receive(t, second.asked); asked.Get("webhook-challenge") != "" {
		t.Errorf("asked by header: %v", asked)
	}
	me.ask("POST", path+"/verify", "").problem(t, http.StatusConflict)
	f.publish(event("e", "invoice.paid", ""))
	second.next()
	sink.quiet()
}

func TestAChangeOfWhatWasNotReadIsRefused(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	made := me.subscribe(sink, `["invoice.paid"]`, "")
	path := fmt.Sprintf("/%d", made.ID)
	_, old := me.read(made.ID)

	// Given the state that was read, it is changed, and has another tag.
	answer := me.ask("PATCH", path, `{"name":"one"}`, "If-Match", `"else", `+old).want(t, http.StatusOK)
	tag := answer.header.Get("ETag")
	if tag == old {
		t.Error("the tag is still the same")
	}
	for operation, body := range map[string]string{"DELETE ": "", "PATCH ": `{"name":"two"}`, "POST /enable": "", "POST /disable": "", "POST /rotate": ""} {
		method, action, _ := strings.Cut(operation, " ")
		// Given another, it is not.
		for _, stale := range []string{old, `"x"`, "W/" + tag} {
			p := me.ask(method, path+action, body, "If-Match", stale).problem(t, http.StatusPreconditionFailed)
			if p.Type != "/docs#error-stale" {
				t.Errorf("%s: %+v", operation, p)
			}
		}
	}
	if now, kept := me.read(made.ID); now.Name != "one" || kept != tag {
		t.Errorf("%q with tag %s, want it untouched", now.Name, kept)
	}
	// A star is any state that there is.
	me.ask("POST", path+"/disable", "", "If-Match", "*").want(t, http.StatusOK)
	me.ask("PATCH", "/999", `{}`, "If-Match", "*").problem(t, http.StatusNotFound)
	_, last := me.read(made.ID)
	me.ask("DELETE", path, "", "If-Match", last).want(t, http.StatusNoContent)
}

func TestChangesAtTheSameTimeLoseNothing(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	made := me.subscribe(sink, `["invoice.paid"]`, "")
	// Each of these reads, merges and writes all of the metadata.
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() { me.ask("PATCH", fmt.Sprintf("/%d", made.ID), fmt.Sprintf(`{"metadata":{"k%d":"v"}}`, i)) })
	}
	all.Wait()
	if now, _ := me.read(made.ID); len(now.Metadata) != 4 {
		t.Errorf("%v", now.Metadata)
	}
}

// FacturaScripts has no API of subscriptions: they are made here.
func TestASubscriptionUnderAContractWithoutAnAPI(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Plugin"), newSink(t)
	made := me.subscribe(sink, `["invoice.paid"]`, `,"contract":"facturascripts","name":"Books"`)
	if made.Contract != "facturascripts" || made.State != fattorino.Active || made.Format != "" || made.Secret == "" {
		t.Errorf("contract %s, state %s, format %q, secret shown %t", made.Contract, made.State, made.Format, made.Secret != "")
	}
	f.publish(event("paid", "invoice.paid", `,"data":{"id":42}`))
	n := sink.next()
	if !n.verified(t, made.Secret) || !strings.Contains(string(n.body), `"event":"invoice.paid"`) {
		t.Errorf("%s", n.body)
	}
	path := fmt.Sprintf("/%d", made.ID)
	me.ask("PATCH", path, `{"description":"To the books"}`).want(t, http.StatusOK)
	me.ask("POST", path+"/rotate", "").want(t, http.StatusOK)
	me.ask("POST", path+"/test", `{"type":"invoice.created"}`).want(t, http.StatusAccepted)
	if n := sink.next(); !strings.Contains(string(n.body), `"total":122.00`) {
		t.Errorf("%s", n.body)
	}
	p := me.ask("PATCH", path, `{"thin":true}`).problem(t, http.StatusUnprocessableEntity)
	if len(p.Errors) != 1 || p.Errors[0].Field != "thin" {
		t.Errorf("%+v", p)
	}
}

// What the operator subscribes belongs to no app.
func TestTheOperatorMaySubscribe(t *testing.T) {
	t.Parallel()
	f := start(t)
	sink := newSink(t)
	operator := &integrator{f, adminSecret}
	made := operator.subscribe(sink, `["*"]`, "")
	if made.AppID != 0 || made.State != fattorino.Active {
		t.Errorf("app %d, %s", made.AppID, made.State)
	}
	f.publish(event("e", "invoice.paid", ""))
	sink.next()
	f.integrator("Warehouse").ask("GET", fmt.Sprintf("/%d", made.ID), "").problem(t, http.StatusNotFound)
}

// Who has done without a handshake, and chooses now what needs one, must prove
// the sink as if it were new.
func TestWhatNeedsProofNowIsAskedFirst(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	made := me.subscribe(sink, `["invoice.paid"]`, `,"handshake":"none"`)
	if made.State != fattorino.Active || len(sink.asked) != 0 {
		t.Fatalf("%s, asked %d times; want active and not asked", made.State, len(sink.asked))
	}
	me.ask("PATCH", fmt.Sprintf("/%d", made.ID), `{"handshake":"challenge"}`).want(t, http.StatusOK)
	if after, _ := me.read(made.ID); after.State != fattorino.Active || after.Handshake != "challenge" || len(sink.asked) != 1 {
		t.Errorf("%s, asked %d times; want active, and asked once", after.State, len(sink.asked))
	}
}

// A token that does not hold the scopes of what its app hears can neither read
// what was sent nor take the subscription over.
func TestANarrowTokenOfTheAppReachesNothingBeyondItsScopes(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	made := me.subscribe(sink, `["customer.created"]`, "")
	f.publish(event("e", "customer.created", `,"data":{"id":5,"iban":"canary"}`))
	sink.next()
	narrow := &integrator{f, f.token(fmt.Sprintf(`{"kind":"api","app_id":%d,"scopes":["issued_documents.invoices:r"]}`, made.AppID))}
	path := fmt.Sprintf("/%d", made.ID)
	narrow.ask("PATCH", path, `{"sink":"`+newSink(t).url+`"}`).problem(t, http.StatusForbidden)
	narrow.ask("POST", path+"/rotate", "").problem(t, http.StatusForbidden)
	narrow.ask("POST", path+"/test", `{"type":"customer.created"}`).problem(t, http.StatusForbidden)
	list := f.do(call{method: "GET", path: "/v1/companies/12345/deliveries", token: narrow.token})
	list.want(t, http.StatusOK)
	if strings.Contains(string(list.body), "customer") {
		t.Errorf("the log shows %s", list.body)
	}
	f.do(call{method: "GET", path: "/v1/companies/12345/deliveries/1", token: narrow.token}).problem(t, http.StatusNotFound)
	f.do(call{method: "POST", path: "/v1/companies/12345/deliveries/1/resend", token: narrow.token}).problem(t, http.StatusNotFound)
}

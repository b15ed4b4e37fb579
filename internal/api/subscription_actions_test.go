package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestARotatedSecretSignsBesideTheOneBefore(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	made := me.subscribe(sink, `["invoice.paid"]`, "")
	path := fmt.Sprintf("/%d/rotate", made.ID)

	// While they overlap, both sign.
	var second api.SubscriptionWithSecret
	answer := me.ask("POST", path, "").want(t, http.StatusOK)
	answer.decode(t, &second)
	if _, tag := me.read(made.ID); tag != answer.header.Get("ETag") {
		t.Errorf("ETag %s, read %s", answer.header.Get("ETag"), tag)
	}
	if !strings.HasPrefix(second.Secret, "whsec_") || second.Secret == made.Secret {
		t.Error("there is no new secret")
	}
	f.publish(event("1", "invoice.paid", ""))
	n := sink.next()
	if signatures := strings.Fields(n.header.Get("webhook-signature")); len(signatures) != 2 {
		t.Errorf("%d signatures, want 2", len(signatures))
	}
	if !n.verified(t, made.Secret) || !n.verified(t, second.Secret) {
		t.Error("one of the two secrets has not signed")
	}

	// Without an overlap, only the newest does.
	var third api.SubscriptionWithSecret
	me.ask("POST", path, `{"overlap_seconds":0}`).want(t, http.StatusOK).decode(t, &third)
	f.publish(event("2", "invoice.paid", ""))
	n = sink.next()
	if !n.verified(t, third.Secret) || n.verified(t, second.Secret) || n.verified(t, made.Secret) {
		t.Errorf("signed by the third: %t, the second: %t, the first: %t", n.verified(t, third.Secret), n.verified(t, second.Secret), n.verified(t, made.Secret))
	}
	for _, seconds := range []string{"-1", "604801", "1.5", `"1"`} {
		me.ask("POST", path, `{"overlap_seconds":`+seconds+`}`).problem(t, http.StatusUnprocessableEntity)
	}
}

func TestSignaturesOfEachScheme(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	for _, tt := range []struct {
		scheme, field        string
		secret, public, ours bool // ours: it is rotated here
	}{
		{"v1", "webhook-signature", true, false, true},
		{"v1a", "webhook-signature", false, true, true},
		{"httpsig", "Signature", false, true, true},
		{"none", "", false, false, false},
	} {
		made := me.subscribe(sink, `["invoice.paid"]`, fmt.Sprintf(`,"signature":%q`, tt.scheme))
		if (made.Secret != "") != tt.secret || (made.PublicKey != "") != tt.public {
			t.Errorf("%s: secret shown %t, public key %q", tt.scheme, made.Secret != "", made.PublicKey)
		}
		path := fmt.Sprintf("/%d", made.ID)
		me.ask("POST", path+"/test", `{"type":"invoice.paid"}`).want(t, http.StatusAccepted)
		n := sink.next()
		if tt.field != "" && n.header.Get(tt.field) == "" {
			t.Errorf("%s: not signed: %v", tt.scheme, n.header)
		}
		if tt.field == "" && (n.header.Get("webhook-signature") != "" || n.header.Get("Signature") != "") {
			t.Errorf("%s: signed: %v", tt.scheme, n.header)
		}
		if key := made.Secret + made.PublicKey; strings.HasPrefix(tt.scheme, "v1") && !n.verified(t, key) {
			t.Errorf("%s: it cannot be verified", tt.scheme)
		}
		// The public half stays to be read, and changes with the secret.
		if shown, _ := me.read(made.ID); shown.PublicKey != made.PublicKey {
			t.Errorf("%s: public key %q, later %q", tt.scheme, made.PublicKey, shown.PublicKey)
		}
		rotated := me.ask("POST", path+"/rotate", "")
		if !tt.ours {
			rotated.problem(t, http.StatusConflict)
			continue
		}
		var next api.SubscriptionWithSecret
		rotated.want(t, http.StatusOK).decode(t, &next)
		if (next.Secret != "") != tt.secret || (tt.public && next.PublicKey == made.PublicKey) {
			t.Errorf("%s: rotated to secret shown %t, public key %q", tt.scheme, next.Secret != "", next.PublicKey)
		}
	}
}

func TestADisabledSubscriptionMissesNothing(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	made := me.subscribe(sink, `["invoice.*"]`, "")
	path := fmt.Sprintf("/%d", made.ID)
	set := func(action string, want fattorino.State) {
		t.Helper()
		for range 2 { // again changes nothing
			var s api.Subscription
			me.ask("POST", path+"/"+action, "").want(t, http.StatusOK).decode(t, &s)
			if s.State != want {
				t.Errorf("%s: %s", action, s.State)
			}
		}
	}

	set("disable", fattorino.Disabled)
	f.publish(event("1", "invoice.created", ""), event("2", "invoice.paid", ""))
	me.ask("POST", path+"/test", `{"type":"invoice.paid"}`).problem(t, http.StatusConflict)
	for _, d := range f.deliveries(me.token, "").Deliveries {
		if d.State != api.Pending || d.Attempts != 0 {
			t.Errorf("%+v", d)
		}
	}
	sink.quiet()

	set("enable", fattorino.Active)
	f.settled(me.token, "?state=delivered", 2)
	if one, two := sink.next(), sink.next(); one.header.Get("webhook-id") == two.header.Get("webhook-id") {
		t.Errorf("twice the same: %v", one.header)
	}
}

func TestATestEventGoesToOneSubscriptionAlone(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink, bystander := f.integrator("Warehouse"), newSink(t), newSink(t)
	made := me.subscribe(sink, `["invoice.*","stock.moved"]`, `,"format":"structured","filters":[{"exact":{"source":"/nobody"}}]`)
	me.subscribe(bystander, `["*"]`, "")
	path := fmt.Sprintf("/%d/test", made.ID)

	for _, typ := range []string{"invoice.paid", "invoice.of.our.own", "stock.moved", "customer.created"} {
		var test api.TestDelivery
		answer := me.ask("POST", path, fmt.Sprintf(`{"type":%q}`, typ)).want(t, http.StatusAccepted)
		answer.decode(t, &test)
		n := sink.next()
		var told struct {
			Type string
			Test bool
			Data struct {
				ID int
			}
		}
		if err := json.Unmarshal(n.body, &told); err != nil || told.Type != typ || !told.Test || told.Data.ID == 0 {
			t.Errorf("%v: %s", err, n.body)
		}
		if !n.verified(t, made.Secret) {
			t.Errorf("%s cannot be verified", typ)
		}
		// It is in the log, where the answer leads,
		if answer.header.Get("Location") != test.Href {
			t.Errorf("Location %q, href %q", answer.header.Get("Location"), test.Href)
		}
		var detail api.DeliveryDetail
		f.settled(me.token, fmt.Sprintf("?type=%s", typ), 1)
		f.do(call{method: "GET", path: test.Href, token: me.token}).want(t, http.StatusOK).decode(t, &detail)
		if detail.Delivery.ID != test.Delivery || detail.Delivery.State != api.Delivered || detail.Subscription.ID != made.ID {
			t.Errorf("%+v", detail)
		}
	}
	// and in no list of events.
	if events := string(f.get("/v1/companies/12345/events").want(t, http.StatusOK).body); !strings.Contains(events, `"events":[]`) {
		t.Errorf("%s", events)
	}
	bystander.quiet()

	for body, field := range map[string]string{`{"type":"stock.counted"}`: "type", `{"type":""}`: "type", `{}`: "type", `{"kind":"x"}`: ""} {
		p := me.ask("POST", path, body).problem(t, http.StatusUnprocessableEntity)
		if field != "" && (len(p.Errors) != 1 || p.Errors[0].Field != field) {
			t.Errorf("%s: %+v", body, p)
		}
	}
}

func TestAnAppSeesAndChangesItsOwnSubscriptions(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, rival, sink := f.integrator("Warehouse"), f.integrator("Rival"), newSink(t)
	made := me.subscribe(sink, `["invoice.paid"]`, "")
	path := fmt.Sprintf("/%d", made.ID)
	for _, op := range []struct{ method, path, body string }{
		{"GET", path, ""},
		{"PATCH", path, `{"name":"x"}`},
		{"DELETE", path, ""},
		{"POST", path + "/verify", ""},
		{"POST", path + "/enable", ""},
		{"POST", path + "/disable", ""},
		{"POST", path + "/rotate", ""},
		{"POST", path + "/test", `{"type":"invoice.paid"}`},
	} {
		theirs := rival.ask(op.method, op.path, op.body).problem(t, http.StatusNotFound)
		nobodys := rival.ask(op.method, strings.Replace(op.path, path, "/999", 1), op.body).problem(t, http.StatusNotFound)
		if diff := cmp.Diff(nobodys, theirs); diff != "" {
			t.Errorf("%s %s tells a foreign one from none (-none +foreign):\n%s", op.method, op.path, diff)
		}
		elsewhere := call{method: op.method, path: strings.Replace(subscriptions, "12345", "7", 1) + op.path, body: op.body}
		elsewhere.token = adminSecret
		f.do(elsewhere).problem(t, http.StatusNotFound)
		elsewhere.token = me.token
		f.do(elsewhere).problem(t, http.StatusForbidden)
		elsewhere.token = f.token(`{"kind":"publish"}`)
		f.do(elsewhere).problem(t, http.StatusForbidden)
	}
	for _, path := range []string{"/0", "/x", "/-1"} {
		me.ask("GET", path, "").problem(t, http.StatusBadRequest)
	}
	ids := func(token, query string) (ids []int64) {
		t.Helper()
		var page api.SubscriptionPage
		f.do(call{method: "GET", path: subscriptions + query, token: token}).want(t, http.StatusOK).decode(t, &page)
		for _, s := range page.Subscriptions {
			ids = append(ids, s.ID)
		}
		return ids
	}
	for _, tt := range []struct {
		token string
		want  []int64
	}{{me.token, []int64{made.ID}}, {rival.token, nil}, {adminSecret, []int64{made.ID}}} {
		if diff := cmp.Diff(tt.want, ids(tt.token, "")); diff != "" {
			t.Errorf("list (-want +got):\n%s", diff)
		}
	}
	// The operator may do what its owner may.
	f.do(call{method: "POST", path: subscriptions + path + "/disable", token: adminSecret}).want(t, http.StatusOK)
}

func TestSubscriptionsOfOtherContractsAreShownAndNotChanged(t *testing.T) {
	t.Parallel()
	f := start(t)
	vendor := f.subscriber("one", ok)
	me, sink := &integrator{f, vendor.token}, newSink(t)
	first := me.subscribe(sink, `["*"]`, "")
	second := me.subscribe(sink, `["*"]`, "")

	// They are in the list, without what can be secret,
	var page api.SubscriptionPage
	me.ask("GET", "", "").want(t, http.StatusOK).decode(t, &page)
	if len(page.Subscriptions) != 3 || page.Subscriptions[0].Contract != "fic" || page.Next != 0 {
		t.Fatalf("%+v", page)
	}
	for _, s := range page.Subscriptions {
		if strings.Contains(s.Sink, "hush") || !strings.HasSuffix(s.Sink, "/hook?…") {
			t.Errorf("sink %q", s.Sink)
		}
	}
	// page by page too, and by contract.
	answer := me.ask("GET", "?limit=2", "").want(t, http.StatusOK)
	answer.decode(t, &page)
	if want := fmt.Sprintf(`<%s?after=%d&limit=2>; rel="next"`, subscriptions, first.ID); answer.header.Get("Link") != want || page.Next != first.ID {
		t.Errorf("Link %s, next %d; want %s", answer.header.Get("Link"), page.Next, want)
	}
	var rest api.SubscriptionPage
	me.ask("GET", fmt.Sprintf("?limit=2&after=%d", page.Next), "").want(t, http.StatusOK).decode(t, &rest)
	if len(rest.Subscriptions) != 1 || rest.Subscriptions[0].ID != second.ID || rest.Next != 0 {
		t.Errorf("%+v", rest)
	}
	var only api.SubscriptionPage
	me.ask("GET", "?contract=fic", "").want(t, http.StatusOK).decode(t, &only)
	if len(only.Subscriptions) != 1 || only.Subscriptions[0].ID != vendor.subscription {
		t.Errorf("%+v", only)
	}
	me.ask("GET", "?contract=nobody", "").problem(t, http.StatusNotFound)
	me.ask("GET", "?after=-1", "").problem(t, http.StatusBadRequest)

	// One is read like any other, and changed where its subscriber made it.
	path := fmt.Sprintf("/%d", vendor.subscription)
	if shown, tag := me.read(vendor.subscription); shown.Contract != "fic" || shown.State != fattorino.Active || tag == "" {
		t.Errorf("%+v", shown)
	}
	for _, op := range []struct{ method, path, body string }{
		{"PATCH", path, `{"name":"x"}`},
		{"DELETE", path, ""},
		{"POST", path + "/verify", ""},
		{"POST", path + "/enable", ""},
		{"POST", path + "/disable", ""},
		{"POST", path + "/rotate", ""},
		{"POST", path + "/test", `{"type":"invoice.paid"}`},
	} {
		p := me.ask(op.method, op.path, op.body).problem(t, http.StatusConflict)
		if p.Code != "other_api" || !strings.Contains(p.Fix, "/c/{company_id}/subscriptions") {
			t.Errorf("%s %s: %+v", op.method, op.path, p)
		}
	}
}

func TestASinkMayConsentLater(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	made := me.subscribe(sink, `["invoice.paid"]`, `,"handshake":"options","rate":600`)
	if made.State != fattorino.Unverified || made.HandshakeError == "" {
		t.Errorf("%s: %s", made.State, made.HandshakeError)
	}
	address := strings.TrimPrefix(receive(t, sink.asked).Get("WebHook-Request-Callback"), f.url)
	if !strings.HasPrefix(address, fmt.Sprintf("/v1/handshakes/%d/1/", made.ID)) {
		t.Fatalf("callback %.30q", address)
	}
	grant := func(method, path string, header ...string) reply {
		t.Helper()
		c := call{method: method, path: path, header: map[string]string{}}
		for i := 0; i < len(header); i += 2 {
			c.header[header[i]] = header[i+1]
		}
		return f.do(c)
	}
	// Whoever does not know the key learns nothing and changes nothing,
	for _, path := range []string{address + "x", strings.Replace(address, fmt.Sprintf("/%d/1/", made.ID), fmt.Sprintf("/%d/2/", made.ID), 1), strings.Replace(address, fmt.Sprintf("/%d/1/", made.ID), "/999/1/", 1)} {
		grant("GET", path).problem(t, http.StatusNotFound)
		grant("POST", path).problem(t, http.StatusNotFound)
	}
	// nor does a rate that is none, or a look by HEAD.
	for _, rate := range []string{"0", "-1", "1.5", "abc", "+5", "007", "12345678901234567890"} {
		grant("GET", address, "WebHook-Allowed-Rate", rate).problem(t, http.StatusBadRequest)
	}
	if _, answer := f.exchange(call{method: "HEAD", path: address}); answer.status != http.StatusNoContent {
		t.Errorf("HEAD: %d", answer.status)
	}
	if s, _ := me.read(made.ID); s.State != fattorino.Unverified {
		t.Errorf("%s, want unverified", s.State)
	}
	// Consent counts once, at the rate that it names.
	grant("GET", address, "WebHook-Allowed-Rate", "120", "WebHook-Allowed-Origin", "hooks.example.com").want(t, http.StatusNoContent)
	grant("POST", address).want(t, http.StatusNoContent)
	if s, _ := me.read(made.ID); s.State != fattorino.Active || s.AllowedRate != 120 || s.HandshakeError != "" {
		t.Errorf("%+v", s)
	}
	f.publish(event("e", "invoice.paid", ""))
	sink.next()
	// Once the sink is another, the old consent is worth nothing.
	me.ask("PATCH", fmt.Sprintf("/%d", made.ID), fmt.Sprintf(`{"sink":%q}`, newSink(t).url)).want(t, http.StatusOK)
	grant("GET", address).problem(t, http.StatusGone)
	me.ask("DELETE", fmt.Sprintf("/%d", made.ID), "").want(t, http.StatusNoContent)
	grant("POST", address).problem(t, http.StatusGone)
}

func TestASubscriptionEndsAtItsDateUnlessItIsRenewed(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	soon := time.Now().Add(time.Hour)
	made := me.subscribe(sink, `["*"]`, fmt.Sprintf(`,"ends_at":%q`, soon.UTC().Format(time.RFC3339Nano)))
	if d := made.EndsAt.Sub(soon); d > 0 || d < -time.Microsecond {
		t.Errorf("ends at %v, want %v", made.EndsAt, soon)
	}
	var renewed api.Subscription
	later := soon.Add(24 * time.Hour).UTC().Truncate(time.Second)
	me.ask("PATCH", fmt.Sprintf("/%d", made.ID), fmt.Sprintf(`{"ends_at":%q}`, later.Format(time.RFC3339))).want(t, http.StatusOK).decode(t, &renewed)
	if !renewed.EndsAt.Equal(later) {
		t.Errorf("ends at %v, want %v", renewed.EndsAt, later)
	}
	// A patch of something else keeps the end to the last digit.
	var named api.Subscription
	me.ask("PATCH", fmt.Sprintf("/%d", made.ID), `{"name":"x"}`).want(t, http.StatusOK).decode(t, &named)
	if !named.EndsAt.Equal(later) {
		t.Errorf("ends at %v, want %v", named.EndsAt, later)
	}
}

// A secret is in the one answer that makes it, and a header's value in none.
func TestSecretsAreShownOnce(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	made := me.subscribe(sink, `["*"]`, `,"headers":{"Authorization":"Bearer hush-header"}`)
	path := fmt.Sprintf("/%d", made.ID)
	var rotated api.SubscriptionWithSecret
	me.ask("POST", path+"/rotate", "").want(t, http.StatusOK).decode(t, &rotated)
	f.publish(event("e", "invoice.paid", ""))
	sink.next()
	var delivery api.TestDelivery
	me.ask("POST", path+"/test", `{"type":"invoice.paid"}`).want(t, http.StatusAccepted).decode(t, &delivery)
	if got := sink.next().header.Get("Authorization"); got != "Bearer hush-header" {
		t.Errorf("sent: %q", got)
	}
	f.settled(me.token, "", 2)

	answers := map[string]reply{
		"show":     me.ask("GET", path, ""),
		"list":     me.ask("GET", "", ""),
		"patch":    me.ask("PATCH", path, `{"name":"x","headers":{"X-More":"hush-header"}}`),
		"refusal":  me.ask("PATCH", path, `{"headers":{"Bad Name":"hush-header","Host":"hush-header"}}`),
		"disable":  me.ask("POST", path+"/disable", ""),
		"enable":   me.ask("POST", path+"/enable", ""),
		"conflict": me.ask("POST", path+"/verify", ""),
		"log":      f.do(call{method: "GET", path: delivery.Href, token: me.token}),
		"logs":     f.do(call{method: "GET", path: "/v1/companies/12345/deliveries", token: adminSecret}),
	}
	hidden := map[string]string{
		"the first secret": strings.TrimPrefix(made.Secret, "whsec_"), "the second secret": strings.TrimPrefix(rotated.Secret, "whsec_"),
		"a header's value": "hush-header",
	}
	for what, secret := range hidden {
		for name, answer := range answers {
			if strings.Contains(string(answer.body), secret) {
				t.Errorf("%s is in the answer %s", what, name)
			}
		}
		if strings.Contains(f.log.String(), secret) {
			t.Errorf("%s is in the server's log", what)
		}
	}
	if log := string(answers["log"].body); !strings.Contains(log, `"Authorization"`) {
		t.Errorf("the log does not name the header: %s", log)
	}
	for _, name := range []string{"list", "log", "logs"} {
		if strings.Contains(string(answers[name].body), "hush-sink") {
			t.Errorf("the sink's query is in the answer %s", name)
		}
	}
}

package subscriptions_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/subscriptions"
)

// base is a body that is good; with changes it in part.
func base(sink string, changes ...members) members {
	b := members{"protocol": "HTTP", "sink": sink}
	for _, change := range changes {
		for name, value := range change {
			b[name] = value
		}
	}
	return b
}

// What breaks a rule of the API (section 3.2) is refused with 422 and its
// place.
func TestCreate_RefusesWhatBreaksARule(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	token, at := f.token(acme), newSink(t).URL
	credential := func(c members) members { return members{"sinkcredential": c} }
	for _, tc := range []struct {
		name  string
		body  members
		field string
	}{
		{"sink: required", members{"protocol": "HTTP"}, "sink"},
		{"sink: a URL", base("nothing"), "sink"},
		{"sink: not as lists show it", base(at + "/?…"), "sink"},
		{"protocol: required", members{"sink": at}, "protocol"},
		{"protocol: case-sensitive", base(at, members{"protocol": "http"}), "protocol"},
		{"protocol: MQTT5", base(at, members{"protocol": "MQTT5"}), "protocol"},
		{"protocol: AMQP", base(at, members{"protocol": "AMQP"}), "protocol"},
		{"protocol: KAFKA", base(at, members{"protocol": "KAFKA"}), "protocol"},
		{"protocol: NATS", base(at, members{"protocol": "NATS"}), "protocol"},
		{"protocolsettings: method", base(at, members{"protocolsettings": members{"method": "PUT"}}), "protocolsettings.method"},
		{"protocolsettings: header of ours", base(at, members{"protocolsettings": members{"headers": members{"ce-id": "1"}}}), "protocolsettings.headers"},
		{"protocolsettings: header without value", base(at, members{"protocolsettings": members{"headers": members{"X-A": ""}}}), "protocolsettings.headers"},
		{"source: empty", base(at, members{"source": ""}), "source"},
		{"source: no URI", base(at, members{"source": "a b"}), "source"},
		{"types: none", base(at, members{"types": []string{}}), "types"},
		{"types: empty string", base(at, members{"types": []string{"invoice.paid", ""}}), "types.1"},
		{"filters: no array", base(at, members{"filters": members{"exact": members{"type": "a"}}}), "filters"},
		{"filters: unknown dialect", base(at, members{"filters": []members{{"regex": "a"}}}), "filters.0.regex"},
		{"filters: faults keep their place beside a source", base(at, members{"source": "/erp", "filters": []members{{"exact": members{"type": "a"}}, {"sql": "1 +"}}}), "filters.1.sql"},
		{"config: unknown", base(at, members{"config": members{"interval": 5}}), "config.interval"},
		{"config: no scalar", base(at, members{"config": members{"format": []string{"binary"}}}), "config.format"},
		{"config: format", base(at, members{"config": members{"format": "xml"}}), "config.format"},
		{"config: handshake none where not allowed", base(at, members{"config": members{"handshake": "none"}}), "config.handshake"},
		{"config: signature", base(at, members{"config": members{"signature": "md5"}}), "config.signature"},
		{"config: a secret brought along", base(at, members{"config": members{"secret": "whsec_x"}}), "config.secret"},
		{"config: company", base(at, members{"config": members{"company": "acme"}}), "config.company"},
		{"config: rate", base(at, members{"config": members{"rate": 0}}), "config.rate"},
		{"config: thin", base(at, members{"config": members{"thin": "maybe"}}), "config.thin"},
		{"sinkcredential: type", base(at, credential(members{"credentialtype": "accesstoken"})), "sinkcredential.credentialtype"},
		{"sinkcredential: REFRESHTOKEN", base(at, credential(members{
			"credentialtype": "REFRESHTOKEN", "accesstoken": "a", "refreshtoken": "b", "refreshtokenendpoint": "https://a.example",
		})), "sinkcredential.credentialtype"},
		{"sinkcredential: token missing", base(at, credential(members{"credentialtype": "ACCESSTOKEN"})), "sinkcredential.accesstoken"},
		{"sinkcredential: token that breaks the header", base(at, credential(members{"credentialtype": "ACCESSTOKEN", "accesstoken": "a\r\nX: y"})), "sinkcredential.accesstoken"},
		{"sinkcredential: token type", base(at, credential(members{"credentialtype": "ACCESSTOKEN", "accesstoken": "a", "accesstokentype": "mac"})), "sinkcredential.accesstokentype"},
		{"sinkcredential: expiry", base(at, credential(members{"credentialtype": "ACCESSTOKEN", "accesstoken": "a", "accesstokenexpiresutc": "tomorrow"})), "sinkcredential.accesstokenexpiresutc"},
		{"sinkcredential: identifier with colon", base(at, credential(members{"credentialtype": "PLAIN", "identifier": "a:b", "secret": "c"})), "sinkcredential.identifier"},
		{"sinkcredential: secret missing", base(at, credential(members{"credentialtype": "PLAIN", "identifier": "a"})), "sinkcredential.secret"},
		{"sinkcredential beside Authorization", base(at, credential(members{"credentialtype": "PLAIN", "identifier": "a", "secret": "b"}),
			members{"protocolsettings": members{"headers": members{"authorization": "c"}}}), "protocolsettings.headers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			answer := f.do(call{method: "POST", path: "/subscriptions", token: token, body: encode(t, tc.body)})
			if answer.want(http.StatusUnprocessableEntity); !slices.Equal(answer.faults(), []string{tc.field}) {
				t.Errorf("faults %v of %s, want %s", answer.faults(), answer.body, tc.field)
			}
			if answer.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("Content-Type %q", answer.header.Get("Content-Type"))
			}
		})
	}
}

// What cannot be read is told from what breaks a rule.
func TestCreate_RefusesBodiesThatAreNone(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	token := f.token(acme)
	for body, status := range map[string]int{
		"":       http.StatusBadRequest,
		"{":      http.StatusBadRequest,
		"{}{}":   http.StatusBadRequest,
		"null":   http.StatusUnprocessableEntity,
		"[]":     http.StatusUnprocessableEntity,
		`"HTTP"`: http.StatusUnprocessableEntity,
		`{"protocol":"HTTP","sink":"https://a.example","qos":1}`:                  http.StatusUnprocessableEntity,
		`{"protocol":"HTTP","sink":"https://a.example","config":"x"}`:             http.StatusUnprocessableEntity,
		`{"sink":"https://a.example/` + strings.Repeat("a", 128<<10) + `"}`:       http.StatusRequestEntityTooLarge,
		`{"protocol":"HTTP","sink":"https://a.example","protocolsettings":[1,2]}`: http.StatusUnprocessableEntity,
	} {
		f.do(call{method: "POST", path: "/subscriptions", token: token, body: body}).want(status)
	}
}

// Older documents write some names in camelCase.
func TestCreate_TakesTheNamesOfOlderDocuments(t *testing.T) {
	t.Parallel()
	f, to := start(t, takenAtTheirWord), newSink(t)
	token := f.token(acme)
	f.create(token, members{
		"id": "client's own", "protocol": "HTTP", "sink": to.URL, "config": members{"handshake": "none"},
		"protocolSettings": members{"headers": members{"X-Tenant": "acme"}},
		"sinkCredential":   members{"credentialType": "ACCESSTOKEN", "accessToken": "abc", "accessTokenType": "Bearer"},
	})
	f.publish("1", "/erp", "invoice.paid")
	if got := to.next(t); got.header.Get("Authorization") != "Bearer abc" || got.header.Get("X-Tenant") != "acme" {
		t.Errorf("received %v", got.header)
	}
}

// PLAIN is sent as Basic (RFC 7617; the vector is that of its section 2).
func TestPlainCredentialIsSentAsBasic(t *testing.T) {
	t.Parallel()
	f, to := start(t, takenAtTheirWord), newSink(t)
	created := f.create(f.token(acme), base(to.URL, members{
		"config":         members{"handshake": "none"},
		"sinkcredential": members{"credentialtype": "PLAIN", "identifier": "Aladdin", "secret": "open sesame"},
	}))
	if want := map[string]string{"credentialtype": "PLAIN", "identifier": "Aladdin"}; !cmp.Equal(created.SinkCredential, want) {
		t.Errorf("shown %v, want %v", created.SinkCredential, want)
	}
	f.publish("1", "/erp", "invoice.paid")
	if got := to.next(t).header.Get("Authorization"); got != "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" {
		t.Errorf("Authorization %q", got)
	}
}

// A signature that was chosen can be verified with the secret of the answer to
// create, which is shown in no other.
func TestSignatureThatWasChosen(t *testing.T) {
	t.Parallel()
	f, to := start(t, takenAtTheirWord), newSink(t)
	token := f.token(acme)
	created := f.create(token, base(to.URL, members{"config": members{"handshake": "none", "signature": "v1"}}))
	if got := f.get(token, created.ID); got.Config["secret"] != "" || got.Config["signature"] != "v1" {
		t.Errorf("config %v", got.Config)
	}
	f.publish("1", "/erp", "invoice.paid")
	verifier, err := standardwebhooks.NewWebhook(created.Config["secret"])
	if err != nil {
		t.Fatal(err)
	}
	if got := to.next(t); verifier.Verify(got.body, got.header) != nil {
		t.Errorf("%v does not verify", got.header)
	}
	withKey := f.create(token, base(to.URL, members{"config": members{"handshake": "none", "signature": "v1a"}}))
	if !strings.HasPrefix(withKey.Config["publickey"], "whpk_") || withKey.Config["secret"] != "" {
		t.Errorf("config %v", withKey.Config)
	}
	f.do(call{
		method: "PUT", path: "/subscriptions/" + created.ID, token: token,
		body: encode(t, base(to.URL, members{"config": members{"signature": "none"}})),
	}).want(http.StatusUnprocessableEntity)
}

// What was answered can be sent back: nothing changes, secrets included.
func TestUpdate_WithWhatWasAnsweredChangesNothing(t *testing.T) {
	t.Parallel()
	f, to := start(t, takenAtTheirWord), newSink(t)
	token := f.token(acme)
	created := f.do(call{method: "POST", path: "/subscriptions", token: token, body: encode(t, base(to.URL+"/in?key=v", members{
		"source": "/erp", "types": []string{"invoice.paid"}, "filters": []members{{"exact": members{"type": "invoice.paid"}}},
		"config":           members{"handshake": "none", "format": "structured", "thin": true, "rate": 600, "signature": "v1"},
		"protocolsettings": members{"headers": members{"X-Key": "k3y"}},
		"sinkcredential":   members{"credentialtype": "ACCESSTOKEN", "accesstoken": "t0ken", "accesstokenexpiresutc": "2999-01-01T00:00:00Z"},
	}))}).want(http.StatusCreated)
	before := created.subscription()

	put := f.do(call{method: "PUT", path: "/subscriptions/" + before.ID, token: token, body: created.body}).want(http.StatusOK)

	delete(before.Config, "secret")
	if diff := cmp.Diff(before, put.subscription()); diff != "" {
		t.Errorf("changed (-before +after):\n%s", diff)
	}
	f.publish("1", "/erp", "invoice.paid")
	got := to.next(t)
	if got.header.Get("X-Key") != "k3y" || got.header.Get("Authorization") != "Bearer t0ken" || got.header.Get("Webhook-Signature") == "" {
		t.Errorf("received %v", got.header)
	}
}

// What is left out of an update is taken away.
func TestUpdate_ReplacesAll(t *testing.T) {
	t.Parallel()
	f, to := start(t, takenAtTheirWord), newSink(t)
	token := f.token(acme)
	created := f.create(token, base(to.URL, members{
		"source": "/erp", "types": []string{"invoice.paid"}, "filters": []members{{"exact": members{"type": "invoice.paid"}}},
		"config":           members{"handshake": "none", "format": "structured", "thin": "true", "rate": "600"},
		"protocolsettings": members{"headers": members{"X-Key": "k3y"}},
		"sinkcredential":   members{"credentialtype": "ACCESSTOKEN", "accesstoken": "t0ken", "accesstokenexpiresutc": "2999-01-01T00:00:00Z"},
	}))
	put := f.do(call{method: "PUT", path: "/subscriptions/" + created.ID, token: token, body: encode(t, base(to.URL))}).want(http.StatusOK)
	want := subscription{
		ID: created.ID, Config: map[string]string{"company": "12345", "format": "binary", "handshake": "none"},
		Sink: to.URL, Protocol: "HTTP", State: "active",
	}
	want.ProtocolSettings.Method = "POST"
	if diff := cmp.Diff(want, put.subscription()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.publish("1", "/other", "customer.created")
	if got := to.next(t); got.header.Get("Ce-Id") != "1" || got.header.Get("Authorization")+got.header.Get("X-Key") != "" {
		t.Errorf("received %v", got.header)
	}
}

// Secrets that are kept go to the place they were given for, and to no other.
func TestUpdate_KeptSecretsDoNotMoveToAnotherSink(t *testing.T) {
	t.Parallel()
	f, to, other := start(t, takenAtTheirWord), newSink(t), newSink(t)
	token := f.token(acme)
	created := f.create(token, base(to.URL, members{
		"config":           members{"handshake": "none"},
		"protocolsettings": members{"headers": members{"X-Key": "k3y"}},
		"sinkcredential":   members{"credentialtype": "PLAIN", "identifier": "a", "secret": "b"},
	}))
	for name, change := range map[string]members{
		"sinkcredential.secret":    {"sinkcredential": members{"credentialtype": "PLAIN", "identifier": "a"}},
		"protocolsettings.headers": {"protocolsettings": members{"headers": members{"X-Key": ""}}},
	} {
		body := encode(t, base(other.URL, change))
		answer := f.do(call{method: "PUT", path: "/subscriptions/" + created.ID, token: token, body: body}).want(http.StatusUnprocessableEntity)
		if !slices.Equal(answer.faults(), []string{name}) {
			t.Errorf("faults %v, want %s", answer.faults(), name)
		}
	}
	same := base(to.URL+"/elsewhere", members{"protocolsettings": members{"headers": members{"x-key": ""}}})
	f.do(call{method: "PUT", path: "/subscriptions/" + created.ID, token: token, body: encode(t, same)}).want(http.StatusOK)
	f.publish("1", "/erp", "invoice.paid")
	if got := to.next(t).header.Get("X-Key"); got != "k3y" {
		t.Errorf("X-Key %q", got)
	}
}

func TestUpdate_TheIdIsThatOfThePath(t *testing.T) {
	t.Parallel()
	f, to := start(t, takenAtTheirWord), newSink(t)
	token := f.token(acme)
	created := f.create(token, base(to.URL, members{"config": members{"handshake": "none"}}))
	body := encode(t, base(to.URL, members{"id": "999"}))
	answer := f.do(call{method: "PUT", path: "/subscriptions/" + created.ID, token: token, body: body}).want(http.StatusUnprocessableEntity)
	if !slices.Equal(answer.faults(), []string{"id"}) {
		t.Errorf("faults %v", answer.faults())
	}
}

// Delete gives what was deleted, which is then gone.
func TestDelete(t *testing.T) {
	t.Parallel()
	f, to := start(t, takenAtTheirWord), newSink(t)
	token := f.token(acme)
	created := f.create(token, base(to.URL, members{"config": members{"handshake": "none"}}))
	deleted := f.do(call{method: "DELETE", path: "/subscriptions/" + created.ID, token: token}).want(http.StatusOK).subscription()
	if deleted.ID != created.ID || deleted.State != "deleted" {
		t.Errorf("%+v", deleted)
	}
	for _, method := range []string{"GET", "DELETE"} {
		f.do(call{method: method, path: "/subscriptions/" + created.ID, token: token}).want(http.StatusNotFound)
	}
	f.do(call{method: "PUT", path: "/subscriptions/" + created.ID, token: token, body: encode(t, base(to.URL))}).want(http.StatusNotFound)
}

// Nothing secret comes back, in any answer or in the log; nor does the query of
// a sink in lists.
func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	f, to := start(t, takenAtTheirWord), newSink(t)
	token := f.token(acme)
	body := encode(t, base(to.URL+"/in?key=qu3ry", members{
		"config":           members{"handshake": "none"},
		"protocolsettings": members{"headers": members{"X-Key": "h3ader"}},
		"sinkcredential":   members{"credentialtype": "PLAIN", "identifier": "me", "secret": "passw0rd"},
	}))
	created := f.do(call{method: "POST", path: "/subscriptions", token: token, body: body}).want(http.StatusCreated)
	path := "/subscriptions/" + created.subscription().ID
	f.publish("1", "/erp", "invoice.paid")
	to.next(t)
	list := f.do(call{method: "GET", path: "/subscriptions", token: token}).want(http.StatusOK)
	shown := created.body + list.body + f.log.String() +
		f.do(call{method: "GET", path: path, token: token}).body +
		f.do(call{method: "PUT", path: path, token: token, body: body}).body +
		f.do(call{method: "DELETE", path: path, token: token}).body
	for _, secret := range []string{"h3ader", "passw0rd", "bWU6cGFzc3cwcmQ"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%s is shown", secret)
		}
	}
	if strings.Contains(list.body+f.log.String(), "qu3ry") {
		t.Error("the query of a sink is in the list or the log")
	}
	if got := decode[[]subscription](list); len(got) != 1 || got[0].Sink != to.URL+"/in?…" {
		t.Errorf("listed %+v", got)
	}
}

// A subscription that the native API made is shown here; an update leaves alone
// what this API has no member for.
func TestUpdate_LeavesWhatTheNativeAPIKnows(t *testing.T) {
	t.Parallel()
	f, to := start(t, takenAtTheirWord), newSink(t)
	token := f.token(acme)
	_, made := f.exchange(call{method: "POST", path: "/v1/companies/12345/subscriptions", token: token, body: encode(t, members{
		"sink": to.URL, "types": []string{"invoice.paid"}, "handshake": "none", "format": "standard", "name": "books",
		"schedule": []int{7, 77}, "metadata": members{"team": "a"}, "headers": members{"Authorization": "ApiKey k3y"},
	})})
	made.want(http.StatusCreated)

	list := decode[[]subscription](f.do(call{method: "GET", path: "/subscriptions", token: token}).want(http.StatusOK))
	if len(list) != 1 || list[0].Config["signature"] != "v1" || list[0].Config["format"] != "standard" {
		t.Fatalf("listed %+v", list)
	}
	path := "/subscriptions/" + list[0].ID
	shown := f.do(call{method: "GET", path: path, token: token}).want(http.StatusOK)
	if got := shown.subscription(); !cmp.Equal(got.ProtocolSettings.Headers, map[string]string{"Authorization": ""}) || got.SinkCredential != nil {
		t.Errorf("settings %v, credential %v", got.ProtocolSettings, got.SinkCredential)
	}
	f.do(call{method: "PUT", path: path, token: token, body: strings.Replace(shown.body, "invoice.paid", "invoice.created", 1)}).want(http.StatusOK)

	_, after := f.exchange(call{method: "GET", path: "/v1/companies/12345" + path, token: token})
	got := decode[struct {
		Name     string
		Types    []string
		Schedule []int
		Metadata map[string]string
	}](after.want(http.StatusOK))
	if got.Name != "books" || !slices.Equal(got.Schedule, []int{7, 77}) || got.Metadata["team"] != "a" || !slices.Equal(got.Types, []string{"invoice.created"}) {
		t.Errorf("left %+v", got)
	}
	f.publish("1", "/erp", "invoice.created")
	if got := to.next(t).header.Get("Authorization"); got != "ApiKey k3y" {
		t.Errorf("Authorization %q", got)
	}
}

// Updates at the same time are done one after the other, or told of the
// conflict; none mixes with another.
func TestUpdate_Races(t *testing.T) {
	t.Parallel()
	f, to := start(t, takenAtTheirWord), newSink(t)
	token := f.token(acme)
	id := f.create(token, base(to.URL, members{"config": members{"handshake": "none"}})).ID
	var racing sync.WaitGroup
	for i := range 8 {
		name := string(rune('a' + i))
		body := encode(t, base(to.URL, members{"source": "/" + name, "types": []string{name}}))
		racing.Go(func() {
			_, answer := f.exchange(call{method: "PUT", path: "/subscriptions/" + id, token: token, body: body})
			if answer.status != http.StatusOK && answer.status != http.StatusConflict {
				t.Errorf("answered %d %s", answer.status, answer.body)
			}
		})
	}
	racing.Wait()
	if got := f.get(token, id); len(got.Types) != 1 || got.Source != "/"+got.Types[0] {
		t.Errorf("source %s, types %v", got.Source, got.Types)
	}
}

// An interloper changes the subscription between what an update saw and what
// it does.
type interloper struct {
	*fattorino.Service
	times int // how often
	do    func()
}

func (i *interloper) ModifySubscription(ctx context.Context, caller *fattorino.Token, company int64, contract string, id int64, c fattorino.SubscriptionChange) (*fattorino.Subscription, []fattorino.TypeRefusal, error) {
	if i.times > 0 {
		i.times--
		i.do()
	}
	return i.Service.ModifySubscription(ctx, caller, company, contract, id, c)
}

// An update keeps no secret that another has just taken away, and gives up
// where others are always faster.
func TestUpdate_OfWhatChangesMeanwhile(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name          string
		times, status int
	}{{"once", 1, http.StatusUnprocessableEntity}, {"always", 99, http.StatusConflict}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f, to := start(t, takenAtTheirWord), newSink(t)
			token := f.token(acme)
			settings := func(value string) members {
				return members{"protocolsettings": members{"headers": members{"X-Key": value}}, "config": members{"handshake": "none"}}
			}
			id := f.create(token, base(to.URL, settings("k3y"))).ID
			between := base(to.URL) // which takes the field away
			if tc.times > 1 {
				between = base(to.URL, settings("another"))
			}
			mux := http.NewServeMux()
			i := &interloper{Service: f.service, times: tc.times, do: func() {
				f.do(call{method: "PUT", path: "/subscriptions/" + id, token: token, body: encode(t, between)}).want(http.StatusOK)
			}}
			subscriptions.NewDoor(i, f.native, slog.New(slog.DiscardHandler)).Routes(mux)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/subscriptions/"+id, strings.NewReader(encode(t, base(to.URL, settings("")))))
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code != tc.status {
				t.Errorf("answered %d %s, want %d", w.Code, w.Body, tc.status)
			}
		})
	}
}

package subscriptions_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestDescriptionIsValid(t *testing.T) {
	t.Parallel()
	doc := loadSpec(t).doc
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaDefaultsValidation(), openapi3.EnableSchemaFormatValidation()); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI[:3] != "3.1" {
		t.Errorf("openapi %s, want 3.1", doc.OpenAPI)
	}
	// The published description has these.
	for id, at := range map[string]*openapi3.Operation{
		"getSubscriptions": doc.Paths.Value("/subscriptions").Get, "createSubscription": doc.Paths.Value("/subscriptions").Post,
		"getFeatures": doc.Paths.Value("/subscriptions").Options, "getSubscription": doc.Paths.Value("/subscriptions/{id}").Get,
		"updateSubscription": doc.Paths.Value("/subscriptions/{id}").Put, "deleteSubscription": doc.Paths.Value("/subscriptions/{id}").Delete,
		"getSubscriptionFeatures": doc.Paths.Value("/subscriptions/{id}").Options,
	} {
		if at == nil || at.OperationID != id {
			t.Errorf("there is no operation %s where it is published", id)
		}
	}
}

// What other tests rely on: the description refuses what is wrong.
func TestDescriptionRefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	schema := loadSpec(t).doc.Components.Schemas["SubscriptionRequest"].Value
	for name, body := range map[string]members{
		"a filter of two dialects":    base("https://a.example", members{"filters": []any{members{"exact": members{"a": "b"}, "prefix": members{"a": "b"}}}}),
		"a filter of another dialect": base("https://a.example", members{"filters": []any{members{"regex": members{"a": "b"}}}}),
		"an empty all":                base("https://a.example", members{"filters": []any{members{"all": []any{}}}}),
		"another protocol":            base("https://a.example", members{"protocol": "AMQP"}),
		"an unknown setting":          base("https://a.example", members{"protocolsettings": members{"qos": 1}}),
		"another credential":          base("https://a.example", members{"sinkcredential": members{"credentialtype": "REFRESHTOKEN"}}),
	} {
		if schema.VisitJSON(body) == nil {
			t.Errorf("%s is taken as good", name)
		}
	}
	if err := schema.VisitJSON(base("https://a.example")); err != nil {
		t.Error(err)
	}
}

func TestDescriptionIsServed(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, answer := start(t, nil).exchange(call{method: "GET", path: "/subscriptions/openapi.yaml"})
	if answer.want(http.StatusOK); answer.body != string(want) || answer.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("%v", answer.header)
	}
}

// Discovery (section 3.3.5): what the paths allow can be asked for.
func TestOptionsTellsWhatIsAllowed(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	for path, want := range map[string]string{
		"/subscriptions":   "GET, HEAD, POST, OPTIONS",
		"/subscriptions/1": "GET, HEAD, PUT, DELETE, OPTIONS",
	} {
		if answer := f.do(call{method: "OPTIONS", path: path}).want(http.StatusOK); answer.header.Get("Allow") != want {
			t.Errorf("%s: Allow %q, want %q", path, answer.header.Get("Allow"), want)
		}
		_, refused := f.exchange(call{method: "PATCH", path: path})
		if refused.want(http.StatusMethodNotAllowed); refused.header.Get("Allow") != want || refused.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v", path, refused.header)
		}
	}
	_, nowhere := f.exchange(call{method: "GET", path: "/subscriptions/1/more"})
	nowhere.want(http.StatusNotFound)
}

func TestEveryOperationNeedsAToken(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	for _, at := range [][2]string{
		{"GET", "/subscriptions"}, {"POST", "/subscriptions"}, {"GET", "/subscriptions/1"}, {"PUT", "/subscriptions/1"}, {"DELETE", "/subscriptions/1"},
	} {
		for token, want := range map[string]string{"": `Bearer realm="fattorino"`, "wrong": `Bearer realm="fattorino", error="invalid_token"`} {
			answer := f.do(call{method: at[0], path: at[1], token: token}).want(http.StatusUnauthorized)
			if got := answer.header.Get("WWW-Authenticate"); got != want {
				t.Errorf("%v: WWW-Authenticate %q, want %q", at, got, want)
			}
		}
	}
	_, publisher, err := f.service.CreateToken(t.Context(), f.admin, fattorino.Token{Kind: fattorino.PublishToken, Companies: []int64{acme}})
	if err != nil {
		t.Fatal(err)
	}
	f.do(call{method: "GET", path: "/subscriptions", token: publisher}).want(http.StatusForbidden)
}

// The company is that of the token, or the one that the request names.
func TestCompany(t *testing.T) {
	t.Parallel()
	f, to := start(t, takenAtTheirWord), newSink(t)
	single, both := f.token(acme), f.token(acme, 777)
	body := func(company any) string {
		config := members{"handshake": "none"}
		if company != nil {
			config["company"] = company
		}
		return encode(t, base(to.URL, members{"config": config}))
	}
	post := func(c call) reply {
		t.Helper()
		c.method = "POST"
		if c.path == "" {
			c.path = "/subscriptions"
		}
		return f.do(c)
	}
	post(call{token: single, body: body(nil)}).want(http.StatusCreated)
	post(call{token: single, body: body(777)}).want(http.StatusForbidden)
	post(call{token: both, body: body(nil)}).want(http.StatusBadRequest)
	post(call{token: both, body: body(nil), company: "x"}).want(http.StatusBadRequest)
	post(call{token: both, body: body("777"), company: "12345"}).want(http.StatusUnprocessableEntity)
	for _, c := range []call{
		{token: both, body: body(nil), company: "777"},
		{token: both, body: body(nil), path: "/subscriptions?company=777"},
		{token: both, body: body(777)},
		{token: both, body: body("777")},
	} {
		created := post(c).want(http.StatusCreated)
		if got := created.subscription().Config["company"]; got != "777" {
			t.Errorf("company %s, want 777", got)
		}
		// The answer leads to the subscription.
		f.do(call{method: "GET", path: created.header.Get("Location"), token: both}).want(http.StatusOK)
	}
	f.do(call{method: "GET", path: "/subscriptions", token: both}).want(http.StatusBadRequest)
	list := decode[[]subscription](f.do(call{method: "GET", path: "/subscriptions?company=777", token: both}).want(http.StatusOK))
	if len(list) != 4 {
		t.Errorf("%d subscriptions, want 4", len(list))
	}
}

// Subscriptions of others are not there, nor is what is no id.
func TestSubscriptionsOfOthersAreNotThere(t *testing.T) {
	t.Parallel()
	f, to := start(t, takenAtTheirWord), newSink(t)
	mine, other := f.token(acme), f.token(acme)
	id := f.create(mine, base(to.URL, members{"config": members{"handshake": "none"}})).ID
	for _, path := range []string{"/subscriptions/" + id, "/subscriptions/0", "/subscriptions/+1", "/subscriptions/01", "/subscriptions/x"} {
		f.do(call{method: "GET", path: path, token: other}).want(http.StatusNotFound)
		f.do(call{method: "DELETE", path: path, token: other}).want(http.StatusNotFound)
		f.do(call{method: "PUT", path: path, token: other, body: encode(t, base(to.URL))}).want(http.StatusNotFound)
	}
	if list := decode[[]subscription](f.do(call{method: "GET", path: "/subscriptions", token: other})); len(list) != 0 {
		t.Errorf("listed %v", list)
	}
}

// The limit of subscriptions is told by its code.
func TestTooManySubscriptions(t *testing.T) {
	t.Parallel()
	f, to := start(t, takenAtTheirWord), newSink(t)
	token, body := f.token(acme), base(to.URL, members{"config": members{"handshake": "none"}})
	for range 5 {
		f.create(token, body)
	}
	answer := f.do(call{method: "POST", path: "/subscriptions", token: token, body: encode(t, body)}).want(http.StatusUnprocessableEntity)
	if p := decode[struct{ Code string }](answer); p.Code != "too_many_subscriptions" {
		t.Errorf("code %q", p.Code)
	}
}

package api_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestApps(t *testing.T) {
	t.Parallel()
	f := start(t)
	first := f.do(call{method: "POST", path: "/v1/apps", token: adminSecret, body: `{"name":" Warehouse "}`}).want(t, http.StatusCreated)
	var made api.App
	first.decode(t, &made)
	if made.ID != 1 || made.Name != "Warehouse" || time.Since(made.CreatedAt) > time.Minute {
		t.Errorf("%+v", made)
	}
	f.app("Second")
	f.app("Third")
	// A page at a time, along the Link header.
	var names []string
	for path := "/v1/apps?limit=2"; path != ""; {
		answer := f.get(path).want(t, http.StatusOK)
		var page api.AppPage
		answer.decode(t, &page)
		for _, app := range page.Apps {
			names = append(names, app.Name)
		}
		path, _ = strings.CutPrefix(strings.TrimSuffix(answer.header.Get("Link"), `>; rel="next"`), "<")
	}
	if got := strings.Join(names, " "); got != "Warehouse Second Third" {
		t.Errorf("apps %q", got)
	}
	var page api.AppPage
	f.get("/v1/apps?after=3").decode(t, &page)
	if page.Apps == nil || len(page.Apps) != 0 || page.Next != 0 {
		t.Errorf("after the last: %+v", page)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app("Warehouse")
	answer := f.do(call{
		method: "POST", path: "/v1/tokens", token: adminSecret,
		body: fmt.Sprintf(`{"kind":"api","app_id":%d,"companies":[12345],"scopes":["issued_documents.invoices:r"],"expires_at":"2099-01-01T00:00:00+01:00"}`, app),
	}).want(t, http.StatusCreated)
	var made api.CreatedToken
	answer.decode(t, &made)
	if !strings.HasPrefix(made.Token, "fattorino_api_") || !strings.HasSuffix(made.Token, made.Hint) ||
		made.ExpiresAt.Format(time.RFC3339) != "2098-12-31T23:00:00Z" || made.AppID != app {
		t.Errorf("%+v", made)
	}
	f.token(`{"kind":"publish"}`)

	listed := f.get("/v1/tokens").want(t, http.StatusOK)
	if strings.Contains(string(listed.body), made.Token) {
		t.Error("a list shows the secret")
	}
	var page api.TokenPage
	listed.decode(t, &page)
	if len(page.Tokens) != 2 || page.Tokens[0].Hint != made.Hint || page.Tokens[0].Companies[0] != 12345 ||
		page.Tokens[1].Kind != fattorino.PublishToken || page.Tokens[1].Companies == nil || len(page.Tokens[1].Companies) != 0 {
		t.Errorf("%+v", page)
	}
	// A token works until it is revoked; to revoke it again changes nothing.
	reads := call{method: "GET", path: "/v1/companies/12345", token: made.Token}
	f.do(reads).want(t, http.StatusOK)
	revoke := call{method: "DELETE", path: fmt.Sprintf("/v1/tokens/%d", made.ID), token: adminSecret}
	for range 2 {
		if got := f.do(revoke).want(t, http.StatusNoContent); len(got.body) != 0 {
			t.Errorf("body %q", got.body)
		}
		f.do(reads).problem(t, http.StatusUnauthorized)
	}
	f.get("/v1/tokens?limit=1").decode(t, &page)
	if page.Tokens[0].RevokedAt.IsZero() || page.Next != made.ID {
		t.Errorf("after it was revoked: %+v", page)
	}
	if strings.Contains(f.log.String(), made.Token) {
		t.Error("the secret is in the log")
	}
}

func TestATokenWithAScopeThatDoesNotExistIsRefusedWithThoseThatDo(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app("Warehouse")
	p := f.do(call{
		method: "POST", path: "/v1/tokens", token: adminSecret,
		body: fmt.Sprintf(`{"kind":"api","app_id":%d,"scopes":["archive:a","archiv:r"]}`, app),
	}).problem(t, http.StatusUnprocessableEntity)
	const (
		start = `there is no scope "archiv:r": did you mean "archive:r"? there are * for everything, and archive:r, cashbook:r, `
		end   = `, taxes:r; with :a in place of :r to write as well`
	)
	if len(p.Errors) != 1 || p.Errors[0].Field != "scopes" || !strings.HasPrefix(p.Errors[0].Detail, start) || !strings.HasSuffix(p.Errors[0].Detail, end) {
		t.Errorf("got %+v, want of scopes %q … %q", p.Errors, start, end)
	}
	var page api.TokenPage
	if f.get("/v1/tokens").want(t, http.StatusOK).decode(t, &page); len(page.Tokens) != 0 {
		t.Errorf("tokens were made: %+v", page.Tokens)
	}
}

func TestATokenThatHasExpired(t *testing.T) {
	t.Parallel()
	f := start(t)
	err := f.store.Update(t.Context(), func(tx fattorino.Tx) error {
		return tx.PutToken(&fattorino.Token{
			Kind: fattorino.AdminToken, Hash: fattorino.HashSecret("old"), Hint: "-old",
			CreatedAt: time.Now().Add(-2 * time.Hour), ExpiresAt: time.Now().Add(-time.Hour),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	f.do(call{method: "GET", path: "/v1/apps", token: "old"}).problem(t, http.StatusUnauthorized)
}

func TestCompanies(t *testing.T) {
	t.Parallel()
	f := start(t)
	put := f.do(call{method: "PUT", path: "/v1/companies/12345", token: adminSecret, body: `{"name":"Rossi S.r.l."}`}).want(t, http.StatusOK)
	var company api.Company
	put.decode(t, &company)
	if company.ID != 12345 || company.Name != "Rossi S.r.l." || company.LastSeq != 0 {
		t.Errorf("%+v", company)
	}
	f.publish(event("a", "invoice.paid", ""))
	f.get("/v1/companies/12345").want(t, http.StatusOK).decode(t, &company)
	if company.Name != "Rossi S.r.l." || company.LastSeq != 1 {
		t.Errorf("after an event: %+v", company)
	}
	f.do(call{method: "PUT", path: "/v1/companies/12345", token: adminSecret, body: `{"name":""}`}).want(t, http.StatusOK)
	f.do(call{method: "PUT", path: "/v1/companies/7", token: adminSecret, body: `{"name":"Bianchi"}`}).want(t, http.StatusOK)
	var page api.CompanyPage
	f.get("/v1/companies?limit=1").decode(t, &page)
	if len(page.Companies) != 1 || page.Companies[0].ID != 7 || page.Next != 7 {
		t.Errorf("the first page: %+v", page)
	}
	page = api.CompanyPage{}
	f.get("/v1/companies?after=7").decode(t, &page)
	if len(page.Companies) != 1 || page.Companies[0].ID != 12345 || page.Companies[0].Name != "" || page.Next != 0 {
		t.Errorf("the second page: %+v", page)
	}
	f.get("/v1/companies/4").problem(t, http.StatusNotFound)
	f.do(call{method: "GET", path: "/v1/companies/12345", token: f.token(`{"kind":"publish","companies":[7]}`)}).problem(t, http.StatusForbidden)
}

func TestBodiesThatAreRefused(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app("Warehouse")
	for _, test := range []struct {
		name, path, body string
		status           int
		field            string // named in errors; empty = none need be
	}{
		{"no body", "/v1/apps", "", 400, ""},
		{"no JSON", "/v1/apps", "name=x", 400, ""},
		{"half of it", "/v1/apps", `{"name":`, 400, ""},
		{"more than one value", "/v1/apps", `{"name":"x"} {}`, 400, ""},
		{"no UTF-8", "/v1/apps", "{\"name\":\"\xff\"}", 400, ""},
		{"too large", "/v1/apps", `{"name":"` + strings.Repeat("x", 70_000) + `"}`, 413, ""},
		{"another type", "/v1/apps", `{"name":5}`, 422, "name"},
		{"a list", "/v1/apps", `[]`, 422, "body"},
		{"null", "/v1/apps", `null`, 422, "name"},
		{"an unknown field", "/v1/apps", `{"name":"x","color":"red"}`, 422, ""},
		{"an empty name", "/v1/apps", `{"name":"  "}`, 422, "name"},
		{"a name too long", "/v1/apps", `{"name":"` + strings.Repeat("x", 201) + `"}`, 422, "name"},
		{"no kind", "/v1/tokens", `{}`, 422, "kind"},
		{"a kind that is none", "/v1/tokens", `{"kind":"root"}`, 422, "kind"},
		{"an app that is not there", "/v1/tokens", `{"kind":"api","app_id":99}`, 422, "app_id"},
		{"no app", "/v1/tokens", `{"kind":"api"}`, 422, "app_id"},
		{"a company that is none", "/v1/tokens", `{"kind":"publish","companies":[0]}`, 422, "companies"},
		{"companies of another type", "/v1/tokens", `{"kind":"publish","companies":["x"]}`, 422, "companies"},
		{"a date that is none", "/v1/tokens", `{"kind":"publish","expires_at":"tomorrow"}`, 422, "expires_at"},
		{"a date gone by", "/v1/tokens", fmt.Sprintf(`{"kind":"api","app_id":%d,"expires_at":"2020-01-01T00:00:00Z"}`, app), 422, "expires_at"},
		{"a field misspelt", "/v1/tokens", `{"kind":"publish","company":[7]}`, 422, ""},
	} {
		answer := f.do(call{method: "POST", path: test.path, token: adminSecret, body: test.body})
		if answer.status != test.status {
			t.Errorf("%s: status %d, want %d; %s", test.name, answer.status, test.status, answer.body)
			continue
		}
		p := answer.problem(t, test.status)
		named := test.field == ""
		for _, e := range p.Errors {
			named = named || strings.HasPrefix(e.Field, test.field)
		}
		if !named {
			t.Errorf("%s: errors %v, want %s to be named", test.name, p.Errors, test.field)
		}
		if strings.HasPrefix(test.name, "a field") && !strings.Contains(p.Detail, `"company"`) {
			t.Errorf("%s: %q does not name it", test.name, p.Detail)
		}
	}
	for _, body := range []string{`{}`, `{"name":null}`} {
		p := f.do(call{method: "PUT", path: "/v1/companies/5", token: adminSecret, body: body}).problem(t, http.StatusUnprocessableEntity)
		if len(p.Errors) != 1 || p.Errors[0].Field != "name" {
			t.Errorf("%s: %v", body, p.Errors)
		}
	}
}

func TestTheOperatorsPartNeedsAnAdminToken(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app("Warehouse")
	tokens := []string{f.token(`{"kind":"publish"}`), f.token(fmt.Sprintf(`{"kind":"api","app_id":%d,"scopes":["*"]}`, app))}
	for _, c := range []call{
		{method: "GET", path: "/v1/apps"},
		{method: "POST", path: "/v1/apps", body: `{"name":"x"}`},
		{method: "GET", path: "/v1/tokens"},
		{method: "POST", path: "/v1/tokens", body: `{"kind":"admin"}`},
		{method: "DELETE", path: "/v1/tokens/1"},
		{method: "GET", path: "/v1/companies"},
		{method: "PUT", path: "/v1/companies/1", body: `{"name":"x"}`},
		{method: "POST", path: "/v1/keys/fic/rotate"},
	} {
		for _, token := range tokens {
			c.token = token
			if p := f.do(c).problem(t, http.StatusForbidden); p.Code != "NO_PERMISSION" || p.Fix == "" {
				t.Errorf("%s %s: %+v", c.method, c.path, p)
			}
		}
	}
	f.do(call{method: "DELETE", path: "/v1/tokens/999", token: adminSecret}).problem(t, http.StatusNotFound)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	f := start(t)
	show := func() (key api.PublicKey) {
		answer := f.do(call{method: "GET", path: "/v1/keys/fic"}).want(t, http.StatusOK)
		answer.decode(t, &key)
		var raw struct {
			PublicKey string `json:"public_key"`
		}
		if err := json.Unmarshal(answer.body, &raw); err != nil {
			t.Fatal(err)
		}
		text, err := base64.StdEncoding.DecodeString(raw.PublicKey)
		if block, _ := pem.Decode(text); err != nil || block == nil || block.Type != "PUBLIC KEY" {
			t.Errorf("%q is no PEM in base64", raw.PublicKey)
		}
		return key
	}
	set := func() (kids []string) {
		answer := f.do(call{method: "GET", path: "/.well-known/jwks.json"}).want(t, http.StatusOK)
		var keys struct{ Keys []struct{ Kid string } }
		if err := json.Unmarshal(answer.body, &keys); err != nil {
			t.Fatal(err)
		}
		for _, k := range keys.Keys {
			kids = append(kids, k.Kid)
		}
		return kids
	}
	before := show()
	if got := set(); len(got) != 1 || got[0] != before.Kid {
		t.Errorf("key set %v, key %s", got, before.Kid)
	}
	var rotated api.PublicKey
	f.do(call{method: "POST", path: "/v1/keys/fic/rotate", token: adminSecret}).want(t, http.StatusOK).decode(t, &rotated)
	after := show()
	if after.Kid == before.Kid || rotated.Kid != after.Kid || after.Alg != "ES256" {
		t.Errorf("before %s, rotated to %s, after %s", before.Kid, rotated.Kid, after.Kid)
	}
	if got := set(); len(got) != 2 || got[0] != after.Kid || got[1] != before.Kid {
		t.Errorf("key set after the rotation: %v", got)
	}
	f.do(call{method: "GET", path: "/v1/keys/nobody"}).problem(t, http.StatusNotFound)
	f.do(call{method: "POST", path: "/v1/keys/nobody/rotate", token: adminSecret}).problem(t, http.StatusNotFound)
}

func TestCatalogs(t *testing.T) {
	t.Parallel()
	f := start(t)
	var all api.Catalogs
	f.do(call{method: "GET", path: "/v1/catalogs"}).want(t, http.StatusOK).decode(t, &all)
	var one api.Catalog
	f.do(call{method: "GET", path: "/v1/catalogs/fic"}).want(t, http.StatusOK).decode(t, &one)
	if len(all.Catalogs) != 3 || len(all.Catalogs[1].Types) != len(one.Types) || one.Contract != "fic" {
		t.Errorf("%d catalogs; %d types of %s", len(all.Catalogs), len(one.Types), one.Contract)
	}
	first := one.Types[0]
	if first.Name != created || first.Common[0] != "invoice.created" || first.Scopes[0] != "issued_documents.invoices:r" {
		t.Errorf("%+v", first)
	}
	if len(one.Groups) == 0 || len(one.Groups[0].Types) == 0 {
		t.Errorf("groups %+v", one.Groups)
	}
	f.do(call{method: "GET", path: "/v1/catalogs/nobody"}).problem(t, http.StatusNotFound)
}

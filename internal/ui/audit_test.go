package ui

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestTheAuditSaysWhoDidWhat(t *testing.T) {
	t.Parallel()
	f := start(t)
	b := f.signedIn(admin)
	for path, form := range map[string]url.Values{
		"/ui/companies":   {"id": {"7"}, "name": {"Rossi"}},
		"/ui/apps":        {"name": {"Warehouse"}},
		"/ui/users":       {"name": {"bruno"}, "password": {password}, "role": {"viewer"}},
		"/ui/keys/rotate": {},
	} {
		if got := b.post(path, form); got.status != http.StatusSeeOther {
			t.Fatalf("%s: got %d: %s", path, got.status, got.body)
		}
	}
	if got := b.post("/ui/users", url.Values{"name": {"bruno"}, "password": {"short"}, "role": {"viewer"}}); got.status == http.StatusSeeOther {
		t.Fatal("a user with a short password is added")
	}
	page := b.get("/ui/audit")
	for _, action := range []string{"company.name", "app.create", "user.add", "key.rotate"} {
		if strings.Count(page.body, "<code>"+action+"</code>") != 1 {
			t.Errorf("%s is not there once: %s", action, page.body)
		}
	}
	_, row, _ := strings.Cut(page.body, "user/bruno")
	before, _, _ := strings.Cut(page.body, "<code>user.add</code>")
	if row == "" || !strings.Contains(before[strings.LastIndex(before, "<tr>"):], ">admin<") {
		t.Errorf("it is not said who added the user: %s", page.body)
	}
	if strings.Contains(page.body, password) {
		t.Error("the audit shows a password")
	}
	found := b.get("/ui/audit?company=7")
	if strings.Count(found.body, "<tr>") != 2 || !strings.Contains(found.body, "company.name") {
		t.Errorf("of company 7: %s", found.body)
	}
	for _, query := range []string{"?q=nothing+like+this", "?company=x", "?company=8"} {
		if got := b.get("/ui/audit" + query); got.status != http.StatusOK || !strings.Contains(got.body, "Nothing found") {
			t.Errorf("%s: got %d: %s", query, got.status, got.body)
		}
	}
}

package fic

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// faults reads a body as a create request and gives the faults by field;
// "malformed" where it is not read at all.
func faults(t *testing.T, body string, as func(*request) error) map[string][]string {
	t.Helper()
	r, err := readRequest([]byte(body))
	if err == nil {
		err = as(&r)
	}
	if err == nil {
		return nil
	}
	e := fattorino.AsError(err)
	switch e.Kind {
	case fattorino.Malformed:
		return map[string][]string{"malformed": nil}
	case fattorino.Invalid:
		return validationResult(e.Faults)
	}
	t.Fatalf("%q fails with %v, which is neither Malformed nor Invalid", body, err)
	return nil
}

func asCreate(r *request) error { _, err := r.forCreate(1); return err }
func asModify(r *request) error { _, err := r.forModify(); return err }
func asVerify(r *request) error { _, err := r.forVerify(); return err }

func TestRequest_FaultsNameTheFieldAndWhatIsWrong(t *testing.T) {
	t.Parallel()
	type result = map[string][]string
	missing := result{"data": {"The data field is required."}}
	malformed := result{"malformed": nil}
	for _, tc := range []struct {
		name, body             string
		create, modify, verify result
	}{
		{name: "a whole one", body: `{"data":{"sink":"https://a.example","types":["t"],"config":{"mapping":"structured"},"verification_method":"query"}}`},
		{name: "fields of no meaning", body: `{"x":1,"data":{"id":7,"verified":"yes","protocol":"HTTP","sink":"https://a.example","types":["t"],"config":{"mapping":"binary","x":[]}}}`},
		{name: "null for what is optional", body: `{"data":{"id":null,"sink":"https://a.example","types":["t"],"config":null,"verification_method":null}}`},
		{name: "null for the mapping", body: `{"data":{"sink":"https://a.example","types":["t"],"config":{"mapping":null}}}`},
		{name: "an empty object as PHP writes it", body: `{"data":{"sink":"https://a.example","types":["t"],"config":[]}}`},

		{name: "no body", body: "", create: missing, modify: missing},
		{name: "blanks", body: " \r\n", create: missing, modify: missing},
		{name: "null", body: "null\n", create: missing, modify: missing},
		{name: "an empty object", body: "{}", create: missing, modify: missing},
		{name: "an empty array", body: "[]", create: missing, modify: missing},
		{name: "data null", body: `{"data":null}`, create: missing, modify: missing},
		{name: "data in other case", body: `{"Data":{"sink":"x"}}`, create: missing, modify: missing},

		{name: "data empty", body: `{"data":{}}`, create: result{
			"data.sink": {"The data.sink field is required."}, "data.types": {"The data.types field is required."},
		}},
		{name: "data an empty array", body: `{"data":[]}`, create: result{
			"data.sink": {"The data.sink field is required."}, "data.types": {"The data.types field is required."},
		}},
		{name: "fields in other case", body: `{"data":{"Sink":"https://a.example","TYPES":["t"]}}`, create: result{
			"data.sink": {"The data.sink field is required."}, "data.types": {"The data.types field is required."},
		}},
		{name: "no types", body: `{"data":{"sink":"https://a.example"}}`, create: result{"data.types": {"The data.types field is required."}}},
		{name: "no sink", body: `{"data":{"types":["t"]}}`, create: result{"data.sink": {"The data.sink field is required."}}},

		{
			name: "an empty sink", body: `{"data":{"sink":"","types":["t"]}}`,
			create: result{"data.sink": {"The data.sink field is required."}}, modify: result{"data.sink": {"The data.sink field is required."}},
			verify: result{"data.sink": {"The data.sink field is required."}},
		},
		{
			name: "no types in the array", body: `{"data":{"sink":"https://a.example","types":[]}}`,
			create: result{"data.types": {"The data.types field is required."}}, modify: result{"data.types": {"The data.types field must have at least 1 item."}},
		},
		everywhere("a body of another kind", `"x"`, result{"data": {"The request body must be a JSON object."}}),
		everywhere("an array for a body", `[1]`, result{"data": {"The request body must be a JSON object."}}),
		everywhere("data a string", `{"data":"x"}`, result{"data": {"The data field must be an object."}}),
		everywhere("data an array", `{"data":[1]}`, result{"data": {"The data field must be an object."}}),
		everywhere("everything of another kind", `{"data":{"sink":1,"types":"t","config":true,"verification_method":{}}}`, result{
			"data.sink":                {"The data.sink field must be a string."},
			"data.types":               {"The data.types field must be an array."},
			"data.config":              {"The data.config field must be an object."},
			"data.verification_method": {"The selected data.verification_method is invalid: it can be header or query."},
		}),
		everywhere("types of another kind", `{"data":{"sink":"https://a.example","types":["t",7,null,["x"]]}}`, result{
			"data.types.1": {"The data.types.1 field must be a string."},
			"data.types.2": {"The data.types.2 field must be a string."},
			"data.types.3": {"The data.types.3 field must be a string."},
		}),
		everywhere("no type that is a string", `{"data":{"sink":"https://a.example","types":[7]}}`, result{"data.types.0": {"The data.types.0 field must be a string."}},
			"data.types", "The data.types field must have at least 1 item."),
		everywhere("types as an object", `{"data":{"sink":"https://a.example","types":{"0":"t"}}}`, result{"data.types": {"The data.types field must be an array."}}),
		everywhere("too many types", `{"data":{"sink":"https://a.example","types":["t"`+strings.Repeat(`,"t"`, maxTypes)+`]}}`, result{
			"data.types": {"The data.types field must not have more than 1000 items."},
		}),
		everywhere("a mapping that is none", `{"data":{"sink":"https://a.example","types":["t"],"config":{"mapping":"Binary"}}}`, result{
			"data.config.mapping": {"The selected data.config.mapping is invalid: it can be binary or structured."},
		}),
		everywhere("a mapping of another kind", `{"data":{"sink":"https://a.example","types":["t"],"config":{"mapping":1}}}`, result{
			"data.config.mapping": {"The selected data.config.mapping is invalid: it can be binary or structured."},
		}),
		everywhere("an empty method", `{"data":{"sink":"https://a.example","types":["t"],"verification_method":""}}`, result{
			"data.verification_method": {"The selected data.verification_method is invalid: it can be header or query."},
		}),

		everywhere("an object that does not end", `{"data":{`, malformed),
		everywhere("no JSON", `sink=https%3A%2F%2Fa.example`, malformed),
		everywhere("two objects", `{}{}`, malformed),
		everywhere("a comma too many", `{"data":{"sink":"https://a.example",}}`, malformed),
		everywhere("a byte order mark", "\ufeff{}", malformed),
		everywhere("bytes that are not UTF-8", "{\"data\":{\"sink\":\"https://a.example/\xff\",\"types\":[\"t\"]}}", malformed),
		everywhere("nested beyond reason", strings.Repeat("[", 20_000), malformed),
	} {
		for as, want := range map[string]result{"create": tc.create, "modify": tc.modify, "verify": tc.verify} {
			read := map[string]func(*request) error{"create": asCreate, "modify": asModify, "verify": asVerify}[as]
			if diff := cmp.Diff(want, faults(t, tc.body, read)); diff != "" {
				t.Errorf("%s, to %s (-want +got):\n%s", tc.name, as, diff)
			}
		}
	}
}

// everywhere is a case whose faults are the same for all three requests, but
// for one more that only a modify has.
func everywhere(name, body string, want map[string][]string, modifyToo ...string) (tc struct {
	name, body             string
	create, modify, verify map[string][]string
},
) {
	tc.name, tc.body, tc.create, tc.modify, tc.verify = name, body, want, want, want
	if len(modifyToo) == 2 {
		tc.modify = map[string][]string{modifyToo[0]: {modifyToo[1]}}
		for field, texts := range want {
			tc.modify[field] = texts
		}
	}
	return tc
}

func TestRequest_WhatIsLeftOutHasItsDefault(t *testing.T) {
	t.Parallel()
	r, err := readRequest([]byte(`{"data":{"sink":"https://a.example?q=1","types":["t"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	created, err := r.forCreate(12345)
	if err != nil {
		t.Fatal(err)
	}
	want := fattorino.NewSubscription{
		Company: 12345, Contract: "fic", Sink: "https://a.example?q=1", Types: []string{"t"},
		Format: fattorino.Binary, Method: fattorino.ByHeader,
	}
	if diff := cmp.Diff(want, created); diff != "" {
		t.Errorf("create (-want +got):\n%s", diff)
	}
	if method, err := (&request{}).forVerify(); method != fattorino.ByHeader || err != nil {
		t.Errorf("verify without a body: %q, %v", method, err)
	}
}

// As clients of the platform may rely on (docs/decisions/0016).
func TestRequest_OfAMemberThatComesTwiceTheLastCounts(t *testing.T) {
	t.Parallel()
	r, err := readRequest([]byte(`{"data":{"sink":"https://a.example","types":["t"],"verification_method":"query"},"data":{"sink":"https://b.example","types":["t"],"types":["u"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.forCreate(12345)
	if err != nil {
		t.Fatal(err)
	}
	want := fattorino.NewSubscription{
		Company: 12345, Contract: "fic", Sink: "https://b.example", Types: []string{"u"},
		Format: fattorino.Binary, Method: fattorino.ByHeader,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("create (-want +got):\n%s", diff)
	}
}

func TestA9_AModifyRequestChangesOnlyWhatItNames(t *testing.T) {
	t.Parallel()
	sink, structured := "https://b.example", fattorino.Structured
	for body, want := range map[string]fattorino.SubscriptionChange{
		`{"data":{}}`:                                    {Method: fattorino.ByHeader},
		`{"data":{"types":["t","u"]}}`:                   {Types: []string{"t", "u"}, Method: fattorino.ByHeader},
		`{"data":{"types":["` + oldFamily + `delete"]}}`: {Types: []string{supplierFamily + "delete", ownFamily + "delete"}, Method: fattorino.ByHeader},
		`{"data":{"types":null,"sink":null}}`:            {Method: fattorino.ByHeader},
		`{"data":{"sink":"https://b.example"}}`:          {Sink: &sink, Method: fattorino.ByHeader},
		`{"data":{"config":{"mapping":"structured"}}}`:   {Format: &structured, Method: fattorino.ByHeader},
		`{"data":{"config":{}}}`:                         {Method: fattorino.ByHeader},
		`{"data":{"verification_method":"query"}}`:       {Method: fattorino.ByQuery},
		`{"data":{"verified":false,"id":"SUB1","x":{}}}`: {Method: fattorino.ByHeader},
	} {
		r, err := readRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.forModify()
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

func TestRequest_TheMessageSumsUpTheFaults(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{}`:                             "The data field is required.",
		`{"data":{}}`:                    "The data.sink field is required. (and 1 more error)",
		`{"data":{"types":[1,2,3,"t"]}}`: "The data.types.0 field must be a string. (and 3 more errors)",
	} {
		r, err := readRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.forCreate(1)
		if got := fattorino.AsError(err).Msg; got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func FuzzReadRequest(f *testing.F) {
	for _, seed := range []string{
		"", "null\n", "{}", "[]", `{"data":{}}`, `{"data":[]}`, "\xff",
		`{"data":{"sink":"https://a.example","types":["` + oldFamily + `create","t"],"config":{"mapping":"structured"},"verification_method":"query"}}`,
		`{"data":{"sink":1,"types":[null],"config":[],"verification_method":""}}`,
		`{"data":{"types":{}}}`, `{"data":{"sink":"\ud800"}}`, `{"data":{"types":[],"types":["t"]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := readRequest(body)
		if err != nil {
			if fattorino.KindOf(err) != fattorino.Malformed {
				t.Fatalf("%q cannot be read: %v", body, err)
			}
			return
		}
		created, err := r.forCreate(1)
		if err != nil {
			e := fattorino.AsError(err)
			if e.Kind != fattorino.Invalid || len(e.Faults) == 0 {
				t.Fatalf("%q is refused without a reason: %v", body, err)
			}
			return
		}
		// What is accepted is whole, and within bounds.
		if created.Sink == "" || len(created.Types) == 0 || len(created.Types) > 2*maxTypes {
			t.Fatalf("%q is accepted as %+v", body, created)
		}
		if created.Format != fattorino.Binary && created.Format != fattorino.Structured {
			t.Fatalf("%q has the format %q", body, created.Format)
		}
		if created.Method != fattorino.ByHeader && created.Method != fattorino.ByQuery {
			t.Fatalf("%q has the method %q", body, created.Method)
		}
	})
}

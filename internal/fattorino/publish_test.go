package fattorino_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestAnEventNamesItsCompany(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, tt := range []struct {
		name      string
		companyid any // nil = no such extension
		subject   string
		want      int64
		fault     string // field of the fault; empty = accepted
	}{
		{name: "as a text", companyid: "108061", want: 108061},
		{name: "as an integer", companyid: int32(108061), want: 108061},
		{name: "in the subject", subject: "company:108061", want: 108061},
		{name: "in both: the extension counts", companyid: "5", subject: "company:6", want: 5},
		{name: "beyond 32 bits", companyid: "9223372036854775807", want: 9223372036854775807},
		{name: "in the extension, beside a subject of other use", companyid: "5", subject: "invoice 42", want: 5},
		{name: "not at all", fault: "companyid"},
		{name: "in a subject of other form", subject: "companies/5", fault: "companyid"},
		{name: "as nothing", companyid: "", subject: "company:6", fault: "companyid"},
		{name: "as a word", companyid: "acme", fault: "companyid"},
		{name: "as zero", companyid: int32(0), fault: "companyid"},
		{name: "as a negative number", companyid: "-5", fault: "companyid"},
		{name: "as a fraction", companyid: "5.0", fault: "companyid"},
		{name: "beyond 64 bits", companyid: "9223372036854775808", fault: "companyid"},
		{name: "as a word in the subject", subject: "company:acme", fault: "subject"},
		{name: "as nothing in the subject", subject: "company:", fault: "subject"},
		{name: "as more than a number in the subject", subject: "company:5/invoice:42", fault: "subject"},
	} {
		e := happened("company "+tt.name, paid)
		e.Subject = tt.subject
		if tt.companyid != nil {
			e.Extensions = map[string]any{"companyid": tt.companyid}
		}
		receipts, err := f.Publish(context.Background(), f.admin, []*fattorino.Event{e})
		if tt.fault == "" {
			if err != nil || receipts[0].Company != tt.want {
				t.Errorf("%s: %+v, %v; want company %d", tt.name, receipts, err, tt.want)
			}
			continue
		}
		refusal := told(t, err, fattorino.Invalid)
		if len(refusal.Faults) != 1 || refusal.Faults[0].Field != tt.fault {
			t.Errorf("%s: faults %v, want one at %s", tt.name, refusal.Faults, tt.fault)
		}
	}
}

func TestAnEventNamesItsEntity(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const json = fattorino.JSONData
	for _, tt := range []struct {
		name   string
		typ    string // paid where empty
		entity any    // the extension; nil = none
		form   fattorino.Form
		data   string
		want   string
	}{
		{name: "in the extension", entity: "invoice/42", form: json, data: `{"ids":[7]}`, want: "invoice/42"},
		{name: "in the extension, several", entity: "customer/1,2,3", want: "customer/1,2,3"},
		{name: "in data.ids", form: json, data: `{"ids":[42]}`, want: "invoice/42"},
		{name: "in data.ids, several", form: json, data: `{"ids":[3,1,2]}`, want: "invoice/3,1,2"},
		{name: "in data.ids, as text", form: json, data: `{"ids":["a-1","a-2"]}`, want: "invoice/a-1,a-2"},
		{name: "in data.id", form: json, data: `{"total":5,"id":42}`, want: "invoice/42"},
		{name: "in data.id, as text", form: json, data: `{"id":"INV-42"}`, want: "invoice/INV-42"},
		{name: "in data.ids before data.id", form: json, data: `{"id":1,"ids":[2]}`, want: "invoice/2"},
		{name: "in data.id where data.ids is empty", form: json, data: `{"id":1,"ids":[]}`, want: "invoice/1"},
		{name: "in data.id where data.ids is null", form: json, data: `{"id":1,"ids":null}`, want: "invoice/1"},
		{name: "in data with white space around it", form: json, data: " \r\n\t{\"ids\": [ 42 ]}\n", want: "invoice/42"},
		{name: "in the words of a vendor", typ: "com.vendor.docs.update", form: json, data: `{"ids":[42]}`, want: "invoice/42"},
		{name: "in words that no catalog knows", typ: "org.example.order.new", form: json, data: `{"id":42}`, want: "order/42"},

		// Numbers are kept as they are written: they are names, not amounts.
		{name: "as a number beyond 53 bits", form: json, data: `{"id":9007199254740993}`, want: "invoice/9007199254740993"},
		{name: "as a number with a fraction", form: json, data: `{"id":42.0}`, want: "invoice/42.0"},
		{name: "as a number with an exponent", form: json, data: `{"id":1E3}`, want: "invoice/1E3"},
		{name: "as a negative number", form: json, data: `{"id":-7}`, want: "invoice/-7"},
		{name: "as an escaped text", form: json, data: `{"id":"\u0041/1"}`, want: "invoice/A/1"},

		// What is no id is data like any other.
		{name: "nowhere", form: json, data: `{"total":5}`},
		{name: "nowhere in no data", form: fattorino.NoData},
		{name: "nowhere in a list", form: json, data: `[{"id":42}]`},
		{name: "nowhere in null", form: json, data: `null`},
		{name: "deeper in the data", form: json, data: `{"invoice":{"id":42}}`},
		{name: "in text that looks like JSON", form: fattorino.TextData, data: `{"id":42}`},
		{name: "as null", form: json, data: `{"id":null}`},
		{name: "as a boolean", form: json, data: `{"id":true}`},
		{name: "as an object", form: json, data: `{"id":{"n":42}}`},
		{name: "as an empty text", form: json, data: `{"id":""}`},
		{name: "as a text that an entity cannot hold", form: json, data: `{"id":"1,2"}`},
		{name: "with one among several that is none", form: json, data: `{"ids":[1,null,3]}`},
		{name: "with ids of another shape", form: json, data: `{"ids":"all","id":1}`},
		{name: "as an id without a noun in the type", typ: ".created", form: json, data: `{"id":42}`},
		{name: "as an id with an empty noun in the type", typ: "a..created", form: json, data: `{"id":42}`},
		{name: "as an id with a noun that an entity cannot hold", typ: "org./order.new", form: json, data: `{"id":42}`},
		{name: "as an id with a noun of two words", typ: "org.shop/order.new", form: json, data: `{"id":42}`},
	} {
		e := happened("entity "+tt.name, paid)
		e.Form, e.Data = tt.form, []byte(tt.data)
		if tt.typ != "" {
			e.Type = tt.typ
		}
		if tt.entity != nil {
			e.Extensions = map[string]any{"entity": tt.entity}
		}
		seq := f.publish(t, e)

		// A reader finds it with its entity, and with its data byte for byte.
		read, _, err := f.Pull(context.Background(), f.admin, fattorino.EventQuery{Company: 7, After: seq - 1, Limit: 1}, 0)
		if err != nil || len(read) != 1 {
			t.Errorf("%s: read back %d events, %v", tt.name, len(read), err)
			continue
		}
		if got := read[0].Entity.String(); got != tt.want {
			t.Errorf("%s: entity %q, want %q", tt.name, got, tt.want)
		}
		if diff := cmp.Diff(e.Entity, read[0].Entity); diff != "" {
			t.Errorf("%s: the entity read is not the one written (-written +read):\n%s", tt.name, diff)
		}
		if string(read[0].Data) != tt.data {
			t.Errorf("%s: data %q, want %q", tt.name, read[0].Data, tt.data)
		}
	}
}

func TestAnEntityThatIsGivenMustBeOne(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, entity := range []any{"", "invoice", "invoice/", "/42", "invoice/1,,2", int32(42), true} {
		e := happened("e1", paid)
		e.Extensions = map[string]any{"entity": entity}
		_, err := f.Publish(context.Background(), f.admin, []*fattorino.Event{e})
		refusal := told(t, err, fattorino.Invalid)
		if len(refusal.Faults) != 1 || refusal.Faults[0].Field != "entity" {
			t.Errorf("entity %v: faults %v, want one at entity", entity, refusal.Faults)
		}
	}
}

func TestABatchIsAcceptedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	f := setup(t)
	good, nowhere, odd, late := happened("e0", paid), happened("e1", paid), happened("e2", paid), happened("e3", paid)
	nowhere.Subject = ""
	odd.Extensions = map[string]any{"entity": "invoice"}
	late.Subject = "company:soon"

	// When some of a batch cannot be accepted,
	_, err := f.Publish(context.Background(), f.admin, []*fattorino.Event{good, nowhere, odd, late})

	// then each fault is told with the place of its event,
	refusal := told(t, err, fattorino.Invalid)
	var fields []string
	for _, fault := range refusal.Faults {
		fields = append(fields, fault.Field)
	}
	if diff := cmp.Diff([]string{"events.1.companyid", "events.2.entity", "events.3.subject"}, fields); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	// and nothing was stored, not even what was good.
	if got := f.history(t); len(got) != 0 {
		t.Errorf("stored %v", ids(got))
	}

	// Corrected, the same batch is accepted, in its order.
	nowhere.Subject, odd.Extensions, late.Subject = "company:7", nil, "company:7"
	receipts, err := f.Publish(context.Background(), f.admin, []*fattorino.Event{good, nowhere, odd, late})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range receipts {
		if want := (fattorino.Receipt{ID: "e" + string(rune('0'+i)), Company: 7, Seq: int64(i + 1)}); r != want {
			t.Errorf("receipt %d = %+v, want %+v", i, r, want)
		}
	}
}

func TestABatchWithAForeignCompanyIsRefusedWhole(t *testing.T) {
	t.Parallel()
	f := setup(t)
	platform := &fattorino.Token{Kind: fattorino.PublishToken, Companies: []int64{7}}
	foreign := happened("e2", paid)
	foreign.Subject = "company:8"
	_, err := f.Publish(context.Background(), platform, []*fattorino.Event{happened("e1", paid), foreign})
	if refusal := told(t, err, fattorino.Denied); refusal.Code != "NO_PERMISSION" {
		t.Errorf("code %q, want NO_PERMISSION", refusal.Code)
	}
	if got := f.history(t); len(got) != 0 {
		t.Errorf("stored %v", ids(got))
	}
}

func TestWhoMayPublish(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, tt := range []struct {
		name   string
		caller fattorino.Token
		want   bool
	}{
		{"a platform", fattorino.Token{Kind: fattorino.PublishToken}, true},
		{"a platform with this company", fattorino.Token{Kind: fattorino.PublishToken, Companies: []int64{7, 8}}, true},
		{"a platform with other companies", fattorino.Token{Kind: fattorino.PublishToken, Companies: []int64{8}}, false},
		{"the operator", fattorino.Token{Kind: fattorino.AdminToken}, true},
		{"an integrator, whatever the scopes", fattorino.Token{Kind: fattorino.APIToken, App: 1, Scopes: []string{"*"}}, false},
		{"nobody", fattorino.Token{}, false},
	} {
		_, err := f.Publish(context.Background(), &tt.caller, []*fattorino.Event{happened("by "+tt.name, paid)})
		switch {
		case tt.want && err != nil:
			t.Errorf("%s may not: %v", tt.name, err)
		case !tt.want:
			fails(t, err, fattorino.Denied)
		}
	}
	if got := len(f.history(t)); got != 3 {
		t.Errorf("%d events stored, want those of the three who may", got)
	}
}

func TestAnEventIsStoredOnceHoweverOftenItIsSent(t *testing.T) {
	t.Parallel()
	f := setup(t)
	first := f.publish(t, happened("e1", paid))
	f.publish(t, happened("e2", paid))

	// The same event again gets the receipt of then.
	if again := f.publish(t, happened("e1", paid)); again != first {
		t.Errorf("seq %d when repeated, want %d", again, first)
	}
	// The same id with other content is a Conflict, and nothing is stored.
	other := happened("e1", paid)
	other.Data = []byte(`{"ids":[43]}`)
	_, err := f.Publish(context.Background(), f.admin, []*fattorino.Event{happened("e3", paid), other})
	fails(t, err, fattorino.Conflict)
	// Another source may use the same id.
	elsewhere := happened("e1", paid)
	elsewhere.Source = "/shop"
	if seq := f.publish(t, elsewhere); seq != 3 {
		t.Errorf("seq %d, want 3", seq)
	}
	if diff := cmp.Diff([]string{"e1", "e2", "e1"}, ids(f.history(t))); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestAnEmptyBatchIsNothingToDo(t *testing.T) {
	t.Parallel()
	f := setup(t)
	receipts, err := f.Publish(context.Background(), f.admin, nil)
	if err != nil || receipts == nil || len(receipts) != 0 {
		t.Errorf("%v, %v; want an empty list", receipts, err)
	}
	_, err = f.Publish(context.Background(), f.app, nil)
	fails(t, err, fattorino.Denied)
}

func TestATypeThatNoCatalogKnowsIsAcceptedWithAWarning(t *testing.T) {
	t.Parallel()
	f := setup(t)
	events := []*fattorino.Event{happened("e1", "invoice.payed"), happened("e2", paid), happened("e3", "org.example.rocket.launched")}
	receipts, err := f.Publish(context.Background(), f.admin, events)
	if err != nil {
		t.Fatal(err)
	}
	if w := receipts[0].Warning; !strings.Contains(w, `"invoice.payed" is in no catalog`) || !strings.Contains(w, `did you mean "invoice.paid"?`) {
		t.Errorf("a typing mistake warns %q", w)
	}
	if w := receipts[1].Warning; w != "" {
		t.Errorf("a known type warns %q", w)
	}
	if w := receipts[2].Warning; w == "" || strings.Contains(w, "did you mean") {
		t.Errorf("a type like no other warns %q, want no hint", w)
	}
	if got := len(f.history(t)); got != 3 {
		t.Errorf("%d events in the history, want all 3", got)
	}
}

func TestPublishOnceHeardInEveryVocabulary(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		// Given one who listens in the common words and one in those of a vendor,
		f.subscribe(t, f.app, wish("https://house.example", paid))
		vendor := wish("https://vendor.example", "com.vendor.docs.update")
		vendor.Contract = "vendor"
		f.subscribe(t, f.rival, vendor)

		// when a payment is published in the common words,
		f.publish(t, happened("e1", paid))
		synctest.Wait()

		// then each hears of it in their own.
		var told []notification
		for _, n := range f.sinks.got {
			if n.event == "e1" {
				told = append(told, n)
			}
		}
		slices.SortFunc(told, func(a, b notification) int { return strings.Compare(a.sink, b.sink) })
		want := []notification{{"https://house.example", "e1", paid}, {"https://vendor.example", "e1", "com.vendor.docs.update"}}
		if diff := cmp.Diff(want, told, cmp.AllowUnexported(notification{})); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

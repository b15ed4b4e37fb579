package samples_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/samples"
)

func TestSamplesLookLikeWhatPlatformsPublish(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
	for _, tt := range []struct{ typ, common, entity, member, value string }{
		{"invoice.created", "invoice.created", "invoice/42", "total", `122.00`},
		{"invoice.paid", "invoice.paid", "invoice/42", "paid_on", `"2026-03-01"`},
		{"it.vendor.docs.create", "invoice.created", "invoice/42", "due_date", `"2026-03-31"`},
		{"supplier_order.created", "supplier_order.created", "supplier_order/42", "number", `"2026/42"`},
		{"customer.updated", "customer.updated", "customer/42", "vat_number", `"IT01234567890"`},
		{"supplier.created", "supplier.created", "supplier/42", "vat_number", `"IT09876543210"`},
		{"product.updated", "product.updated", "product/42", "net_price", `8.20`},
		{"receipt.paid", "receipt.paid", "receipt/42", "paid", `true`},
		{"invoice.deleted", "invoice.deleted", "invoice/42", "id", `42`},
		{"our.own.kind.moved", "", "kind/42", "id", `42`},
		{"plain", "", "plain/42", "id", `42`},
	} {
		e := samples.Event(7, tt.typ, tt.common, now)
		var data map[string]json.RawMessage
		if err := json.Unmarshal(e.Data, &data); err != nil || string(data[tt.member]) != tt.value {
			t.Errorf("%s: %v, %s; want %s to be %s", tt.typ, err, e.Data, tt.member, tt.value)
		}
		if e.Type != tt.typ || e.Common != tt.common || e.Company != 7 || e.Entity.String() != tt.entity || !e.Private() {
			t.Errorf("%s: %+v", tt.typ, e)
		}
	}
	if one, two := samples.Event(7, "a.b", "", now), samples.Event(7, "a.b", "", now); one.ID == two.ID {
		t.Error("two samples have the same id")
	}
	if deleted := samples.Event(7, "invoice.deleted", "invoice.deleted", now); string(deleted.Data) != `{"id":42}` {
		t.Errorf("of what was deleted: %s", deleted.Data)
	}
}

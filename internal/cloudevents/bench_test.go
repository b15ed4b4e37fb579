package cloudevents_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
)

// invoiceData is some 250 bytes of JSON, so that the whole event has 500.
var invoiceData = `{"id":42,"number":"2026/42","date":"2026-01-31","net":1250.50,"vat":275.11,"gross":1525.61,` +
	`"currency":"EUR","customer":{"id":7,"name":"Caffè Società"},"lines":[{"qty":3,"price":400.00},{"qty":1,"price":50.50}],` +
	`"note":"` + strings.Repeat("n", 40) + `"}`

var invoiceStructured = `{"specversion":"1.0","id":"5f0c6b8e-6f0f-4a52-9d7e-2f3d1b0c9a11","source":"https://erp.example/companies/12345",` +
	`"type":"invoice.paid","subject":"invoice/42","time":"2026-01-31T12:00:00.123+01:00","datacontenttype":"application/json",` +
	`"company":12345,"data":` + invoiceData + `}`

func invoiceHeader() http.Header {
	return http.Header{
		"Accept":          {"*/*"},
		"Authorization":   {"Bearer x"},
		"Ce-Company":      {"12345"},
		"Ce-Id":           {"5f0c6b8e-6f0f-4a52-9d7e-2f3d1b0c9a11"},
		"Ce-Source":       {"https://erp.example/companies/12345"},
		"Ce-Specversion":  {"1.0"},
		"Ce-Subject":      {"invoice/42"},
		"Ce-Time":         {"2026-01-31T12:00:00.123+01:00"},
		"Ce-Type":         {"invoice.paid"},
		"Content-Length":  {"250"},
		"Content-Type":    {"application/json"},
		"User-Agent":      {"erp/1"},
		"Accept-Encoding": {"gzip"},
	}
}

func BenchmarkDecodeStructured(b *testing.B) {
	body := []byte(invoiceStructured)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := cloudevents.Decode(cloudevents.StructuredType, nil, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeBinary(b *testing.B) {
	header, body := invoiceHeader(), []byte(invoiceData)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := cloudevents.Decode("application/json", header, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendStructured(b *testing.B) {
	events, _, err := cloudevents.Decode(cloudevents.StructuredType, nil, []byte(invoiceStructured))
	if err != nil {
		b.Fatal(err)
	}
	var buffer []byte
	b.SetBytes(int64(len(invoiceStructured)))
	b.ReportAllocs()
	for b.Loop() {
		buffer = cloudevents.AppendStructured(buffer[:0], events[0])
	}
}

func BenchmarkWriteBinary(b *testing.B) {
	events, _, err := cloudevents.Decode(cloudevents.StructuredType, nil, []byte(invoiceStructured))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		cloudevents.WriteBinary(events[0])
	}
}

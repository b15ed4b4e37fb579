package filter_test

import (
	"encoding/json"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/filter"
)

const benchExpression = "type LIKE 'invoice.%' AND subject = 'true'"

func BenchmarkParseSQL(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := filter.ParseSQL(benchExpression); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sdk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := peerParse(benchExpression); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	ours, theirs := peerEvent()
	b.Run("ours", func(b *testing.B) {
		x, err := filter.ParseSQL(benchExpression)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if v, err := x.Evaluate(ours); err != nil || !v.Bool {
				b.Fatal(v, err)
			}
		}
	})
	b.Run("sdk", func(b *testing.B) {
		x, err := peerParse(benchExpression)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if v, err := x.Evaluate(theirs); err != nil || v != true {
				b.Fatal(v, err)
			}
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	event := invoice()
	event.Data = []byte(invoiceJSON)
	for name, filters := range map[string]string{
		"exact": `[{"exact":{"type":"invoice.paid","subject":"invoice/42"}}]`,
		"any":   `[{"any":[{"prefix":{"type":"customer."}},{"suffix":{"type":".paid"}}]}]`,
		"sql":   `[{"sql":"type LIKE 'invoice.%' AND company = 12345"}]`,
		"data":  `[{"data":{"pointer":"/customer/country","in":["IT","ES"]}},{"data":{"pointer":"/total","greater":10}}]`,
	} {
		b.Run(name, func(b *testing.B) {
			f, err := filter.Compile(json.RawMessage(filters))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if !f.Match(event) {
					b.Fatal("does not match")
				}
			}
		})
	}
}

package schema_test

import "testing"

func BenchmarkCheck(b *testing.B) {
	for _, c := range []struct{ name, schema, data string }{
		{"a small event that matches", payment, `{"id": 1, "total": 12.50, "paid_on": "2026-03-01", "lines": [{"qty": 1}]}`},
		{"a small event that does not", payment, `{"id": "1"}`},
		{"a check that is broken off", bomb(40, "anyOf", `{"type": "string"}`), `1`},
	} {
		b.Run(c.name, func(b *testing.B) {
			check := compile(b, c.schema)
			for b.Loop() {
				check([]byte(c.data))
			}
		})
	}
}

// Package filter decides which events a subscription hears: the filter
// dialects of the CloudEvents Subscriptions API 0.1-wip (section 3.2.4), the
// CloudEvents SQL expression language 1.0.0 ("CESQL"), and a dialect of our
// own on JSON data.
//
//	f, err := filter.Compile(raw) // once, when the subscription is made or read
//	if f.Match(event) { … }       // for every event; safe for concurrent use
//
// # Dialects
//
// Filters are a JSON array of objects with one member each, named after its
// dialect. An event passes if all of the array are true; none at all is true.
//
//	{"exact":  {"type": "invoice.paid"}}       attribute equals; all pairs must
//	{"prefix": {"subject": "invoice/"}}        attribute starts with
//	{"suffix": {"type": ".paid"}}              attribute ends with
//	{"all": [filter, …]}  {"any": [filter, …]} at least one filter inside
//	{"not": filter}
//	{"sql": "type LIKE 'invoice.%' AND EXISTS subject"}
//	{"data": {"pointer": "/customer/country", "in": ["IT", "ES"]}}
//
// exact, prefix and suffix compare the canonical string of an attribute
// (CloudEvents 1.0.2, "Type System"), case-sensitively: true and false, decimal
// integers, base64, and time in RFC 3339 with the offset the producer gave. An
// attribute that is absent makes them false.
//
// sql passes where the expression is the Boolean true; another type or any
// error does not pass.
//
// # Data
//
// data looks at the value that a JSON Pointer (RFC 6901) leads to, with one or
// more of these, all of which must be true:
//
//	equals   a string, number, Boolean or null that the value equals
//	in       an array of such, one of which the value equals
//	exists   true: there is a value, null included; false: there is none
//	greater  a number or string that the value is greater than
//	less     a number or string that the value is less than
//	prefix   a string that the value starts with
//
// Numbers are compared exactly, as decimals: 12.50 equals 12.5, and no digit
// of a large number is lost. Strings are in the order of their bytes, which
// puts ISO 8601 dates in order. Values of different types are neither equal,
// greater nor less. Of repeated members the last counts. Every data condition
// is false, exists included, where the event has no JSON data. Numbers whose
// exponent is beyond one billion equal nothing.
//
// # CESQL
//
// [ParseSQL] and [Expression.Evaluate] follow the text of CESQL 1.0.0, failing
// fast (section 4.1). Where the text is silent or the test kit goes further:
//
//   - Attribute names may be written in upper case, as keywords may.
//   - Sums, differences, products, quotients and negations beyond 32 bits are
//     0 with a math error, as ABS has it, and do not wrap around.
//   - In strings a backslash escapes the delimiter only. Before any other
//     character it stands for itself; two are two, and do not escape what
//     follows. In LIKE patterns it escapes % and _.
//   - A character is a Unicode code point.
//   - INT, BOOL and STRING cast, as the text uses them without defining them.
//   - AND, OR and XOR have one precedence and are read from left to right.
//
// A function that does not exist is an error of evaluation, as the text wants
// it; [Compile] refuses such an expression beforehand.
//
// # Limits
//
// Expressions have at most 8 KiB and 64 levels of nesting; filters 64 KiB and
// 64 levels; JSON data 1000 levels. No function makes a string longer than 16
// KiB. Evaluation takes time in proportion to the length of the expression
// times that of the strings it works on, at most.
package filter

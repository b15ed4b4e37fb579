// Package cloudevents reads and writes CloudEvents 1.0.2 in the three modes of
// the HTTP protocol binding: binary, structured and batch, the latter two in
// the JSON format.
//
// [Decode] is strict about what an event is and keeps what it carries: JSON
// data is never parsed into values, so that 12.50 stays 12.50 and the order of
// members, repeated members and large numbers survive. White space around the
// JSON value is no part of it and goes.
//
// [WriteBinary], [AppendStructured] and [AppendBatch] write such an event back.
// Of an event made by hand they ask what Decode asks: the required attributes,
// valid JSON in JSONData, UTF-8 and a DataContentType with TextData. They write
// the CloudEvents attributes and the data, nothing of what Fattorino adds.
//
// In structured mode and in batches an event comes back as it was. Binary mode
// cannot tell as much: extensions come back as strings, empty data as none,
// absent datacontenttype of JSON as application/json, and the form of other
// data as the content type alone tells it.
//
// Two choices where the specification is silent:
//
//   - Many senders do not percent-encode header values (HTTP binding 1.0.2,
//     section 3.1.3.2). What is no escape, as the % of "100%", is therefore
//     taken literally; what is one is decoded, once, and refused where it
//     gives invalid UTF-8.
//   - Limits: 64 extensions an event, 64 bytes an attribute name, 8 KiB an
//     attribute, 1000 levels of nesting in JSON. The size of a request is for
//     the caller to bound.
package cloudevents

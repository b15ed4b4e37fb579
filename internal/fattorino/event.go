package fattorino

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
	"time"
)

// An Event is an immutable fact: a CloudEvent (CloudEvents 1.0.2) and what
// Fattorino adds to it. Attribute fields carry the CloudEvents names; an empty
// string or zero time means that the optional attribute is absent.
type Event struct {
	ID              string
	Source          string
	Type            string
	Subject         string
	Time            time.Time // with the offset the producer gave
	DataContentType string
	DataSchema      string
	Extensions      map[string]any // string, bool, int32 or []byte by attribute name

	Data []byte // the payload, byte for byte as published
	Form Form   // how Data is to be read

	Company  int64
	Entity   Entity
	Common   string    // common name of the type, as "invoice.created"; empty where none is linked
	Seq      int64     // position among the company's events, from 1, without gaps; 0 = private
	Accepted time.Time // when it was committed; never decreases with Key
	Key      int64     // the store's own key, increasing
}

// Form says how an event's Data is to be read (CloudEvents JSON format 1.0.2,
// section 3.1).
type Form uint8

// The forms of data.
const (
	NoData     Form = iota
	JSONData        // a JSON value
	TextData        // text of another content type
	BinaryData      // bytes; data_base64 in JSON
)

// Private tells whether the event is outside the company's history: a welcome
// is delivered to one subscription, has no Seq and is in no list of events.
func (e *Event) Private() bool { return e.Seq == 0 }

// Size is about how many bytes the event takes in memory.
func (e *Event) Size() int {
	return 256 + len(e.ID) + len(e.Source) + len(e.Subject) + len(e.Data)
}

// An Entity is what an event is about: a type and one or more ids, as
// "invoice/42" or, where one occurrence touched several, "customer/1,2,3".
type Entity struct {
	Type string
	IDs  []string
}

// String gives "type/id,id"; empty for the zero Entity.
func (e Entity) String() string {
	if e.Type == "" && len(e.IDs) == 0 {
		return ""
	}
	return e.Type + "/" + strings.Join(e.IDs, ",")
}

// ParseEntity reads the form that [Entity.String] writes.
func ParseEntity(s string) (Entity, error) {
	typ, ids, ok := strings.Cut(s, "/")
	if !ok || typ == "" || ids == "" {
		return Entity{}, fmt.Errorf("entity %q is not of the form type/id, as invoice/42", s)
	}
	list := strings.Split(ids, ",")
	for _, id := range list {
		if id == "" {
			return Entity{}, fmt.Errorf("entity %q has an empty id", s)
		}
	}
	return Entity{Type: typ, IDs: list}, nil
}

// IDHash is a short hash of what makes an event the same event: company,
// source and id. Equal hashes are a hint, to be checked.
func (e *Event) IDHash() int64 {
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(e.Company))
	h.Write(n[:])
	writeField(h.Write, e.Source)
	writeField(h.Write, e.ID)
	var sum [sha256.Size]byte
	return int64(binary.BigEndian.Uint64(h.Sum(sum[:0])))
}

// ContentHash is a hash of everything the producer said, so that the same id
// with other content can be told from a repeat.
func (e *Event) ContentHash() []byte {
	h := sha256.New()
	for _, s := range []string{e.Type, e.Subject, e.DataContentType, e.DataSchema} {
		writeField(h.Write, s)
	}
	if !e.Time.IsZero() {
		writeField(h.Write, e.Time.UTC().Format(time.RFC3339Nano))
	}
	names := make([]string, 0, len(e.Extensions))
	for name := range e.Extensions {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		writeField(h.Write, name)
		writeField(h.Write, fmt.Sprint(e.Extensions[name]))
	}
	h.Write([]byte{byte(e.Form)})
	h.Write(e.Data)
	return h.Sum(nil)[:16]
}

// writeField writes s with its length before it, so that no two lists of
// fields run together to the same bytes.
func writeField(write func([]byte) (int, error), s string) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(s)))
	_, _ = write(n[:]) // a hash never fails
	_, _ = write([]byte(s))
}

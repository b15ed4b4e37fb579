package fattorino

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
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

	idHash      int64
	contentHash []byte
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

// Happened gives when the event occurred, or, where its producer did not say,
// when it was accepted.
func (e *Event) Happened() time.Time {
	if e.Time.IsZero() {
		return e.Accepted
	}
	return e.Time
}

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

// Equal tells whether two entities are the same, their ids in the same order.
func (e Entity) Equal(o Entity) bool { return e.Type == o.Type && slices.Equal(e.IDs, o.IDs) }

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

// Hashes gives a short hash of what makes an event the same event (company,
// source and id) and one of everything the producer said, so that the same id
// with other content can be told from a repeat. Equal id hashes are a hint, to
// be checked. They are worked out once: the event must not change afterwards.
func (e *Event) Hashes() (id int64, content []byte) {
	if e.contentHash == nil {
		e.idHash, e.contentHash = e.hashID(), e.hashContent()
	}
	return e.idHash, e.contentHash
}

// Digest gives 16 bytes by which a receiver tells an event from every other: a
// hash, since company, source and id are the producer's choice and the ids of
// messages must not be. Of a private event, as a test, it is another than
// of the one that it is a copy of.
func (e *Event) Digest() (digest [16]byte) {
	var scratch [256]byte
	text := binary.BigEndian.AppendUint64(scratch[:0], uint64(e.Company))
	text = binary.BigEndian.AppendUint64(text, uint64(e.Seq))
	text = binary.BigEndian.AppendUint64(text, uint64(len(e.Source)))
	text = append(append(text, e.Source...), e.ID...)
	sum := sha256.Sum256(text)
	copy(digest[:], sum[:])
	return digest
}

func (e *Event) hashID() int64 {
	buf := make([]byte, 0, 128)
	buf = binary.BigEndian.AppendUint64(buf, uint64(e.Company))
	buf = appendField(buf, e.Source)
	buf = appendField(buf, e.ID)
	sum := sha256.Sum256(buf)
	return int64(binary.BigEndian.Uint64(sum[:]))
}

func (e *Event) hashContent() []byte {
	buf := make([]byte, 0, 256)
	for _, s := range []string{e.Type, e.Subject, e.DataContentType, e.DataSchema} {
		buf = appendField(buf, s)
	}
	if !e.Time.IsZero() {
		buf = e.Time.UTC().AppendFormat(buf, time.RFC3339Nano)
	}
	names := make([]string, 0, 8)
	for name := range e.Extensions {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		text, ok := e.Extensions[name].(string)
		if !ok {
			text = fmt.Sprint(e.Extensions[name])
		}
		buf = appendField(appendField(buf, name), text)
	}
	hash := sha256.New()
	_, _ = hash.Write(append(buf, byte(e.Form))) // a hash never fails
	_, _ = hash.Write(e.Data)
	return hash.Sum(nil)[:16]
}

// appendField appends s with its length before it, so that no two lists of
// fields run together to the same bytes.
func appendField(buf []byte, s string) []byte {
	buf = binary.BigEndian.AppendUint64(buf, uint64(len(s)))
	return append(buf, s...)
}

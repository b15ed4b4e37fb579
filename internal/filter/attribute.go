package filter

import (
	"encoding/base64"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// context is where an event keeps an attribute.
type context uint8

const (
	extension context = iota
	id
	source
	specversion
	typ
	datacontenttype
	dataschema
	subject
	timestamp
)

// An attribute is a context attribute of CloudEvents 1.0.2, or an extension.
type attribute struct {
	context context
	name    string
}

func attributeOf(name string) attribute {
	a := attribute{name: name}
	switch name {
	case "id":
		a.context = id
	case "source":
		a.context = source
	case "specversion":
		a.context = specversion
	case "type":
		a.context = typ
	case "datacontenttype":
		a.context = datacontenttype
	case "dataschema":
		a.context = dataschema
	case "subject":
		a.context = subject
	case "time":
		a.context = timestamp
	}
	return a
}

// presence of an attribute in an event.
type presence uint8

const (
	absent presence = iota
	present
	alien // an extension of a type that CloudEvents does not have
)

// in gives the attribute's value in the event. What is no Boolean and no
// Integer is the String of its canonical form. Attributes that are required
// are always present, as an event is assumed to be valid (section 3.4.4).
func (a *attribute) in(e *fattorino.Event) (Value, presence) {
	optional := ""
	switch a.context {
	case id:
		return text(e.ID), present
	case source:
		return text(e.Source), present
	case specversion:
		return text("1.0"), present
	case typ:
		return text(e.Type), present
	case datacontenttype:
		optional = e.DataContentType
	case dataschema:
		optional = e.DataSchema
	case subject:
		optional = e.Subject
	case timestamp:
		if !e.Time.IsZero() {
			optional = e.Time.Format(time.RFC3339Nano)
		}
	default:
		return extensionValue(e.Extensions[a.name])
	}
	if optional == "" {
		return Value{}, absent
	}
	return text(optional), present
}

func extensionValue(v any) (Value, presence) {
	switch v := v.(type) {
	case string:
		return text(v), present
	case bool:
		return boolean(v), present
	case int32:
		return integer(v), present
	case []byte:
		return text(base64.StdEncoding.EncodeToString(v)), present
	case nil:
		return Value{}, absent
	}
	return Value{}, alien
}

package fattorino

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// An OwnType is what the operator says of a type of the own contract's catalog:
// one of the platform's own, or one that is in the catalog anyway.
type OwnType struct {
	Name        string
	Description string
	Common      string // common name that its events count as; empty = none, or that which the catalog says
	Schema      []byte // JSON Schema that the events' data must match; empty = any data will do
	Deprecated  string // what to use instead, for the warning; empty = not deprecated
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// says tells whether the two say the same of the same type, whenever they said
// it.
func (t *OwnType) says(o *OwnType) bool {
	return t.Name == o.Name && t.Description == o.Description && t.Common == o.Common &&
		t.Deprecated == o.Deprecated && bytes.Equal(t.Schema, o.Schema)
}

// What bounds the operator's types and groups, for they are held in memory and
// listed whole.
const (
	maxOwnTypes    = 1000
	maxOwnGroups   = 1000
	maxGroupTypes  = 1000
	maxSchema      = 256 << 10 // bytes
	maxTypeText    = 2000      // bytes of a description
	maxDeprecation = 500       // bytes
)

// A vocabulary is every catalog as it stands with what the operator has added.
// It does not change once made; a change puts another in its place.
type vocabulary struct {
	catalogs *Catalogs
	types    map[string]*OwnType
	groups   map[string]Group
	checks   map[string]func(data []byte) []Fault // by type, for those with a schema
}

// LoadOwnTypes takes the operator's types and groups over from the store: at the
// start, before anything is published, and when another process may have changed
// them.
func (s *Service) LoadOwnTypes(ctx context.Context) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.loadOwnTypes(ctx)
}

func (s *Service) loadOwnTypes(ctx context.Context) error {
	if s.OwnContract == "" {
		return nil
	}
	types, err := s.Store.OwnTypes(ctx)
	if err != nil {
		return fmt.Errorf("read own types: %w", err)
	}
	groups, err := s.Store.OwnGroups(ctx)
	if err != nil {
		return fmt.Errorf("read own groups: %w", err)
	}
	v := &vocabulary{types: map[string]*OwnType{}, groups: map[string]Group{}, checks: map[string]func([]byte) []Fault{}}
	for _, t := range types {
		v.types[t.Name] = t
		if len(t.Schema) > 0 {
			v.checks[t.Name] = s.checkOf(t)
		}
	}
	for _, g := range groups {
		v.groups[g.Name] = g
	}
	var list []*Catalog
	for _, contract := range s.Contracts {
		c := contract.Catalog()
		if contract.Name() == s.OwnContract {
			if c, err = c.with(types, groups); err != nil {
				return err
			}
		}
		list = append(list, c)
	}
	v.catalogs = NewCatalogs(list...)
	s.vocabulary.Store(v)
	return nil
}

// checkOf compiles a schema that is kept. One that was good when it was kept
// and is not any more lets nothing pass, and says so, until it is replaced: the
// operator wanted a check.
func (s *Service) checkOf(t *OwnType) func([]byte) []Fault {
	check, err := s.CompileSchema(t.Schema)
	if err == nil {
		return check
	}
	return func([]byte) []Fault {
		return []Fault{{Msg: fmt.Sprintf("the schema kept for the type %q is not understood any more: the operator must replace it", t.Name)}}
	}
}

// check gives the faults that the schema of the event's type finds in its data;
// at stands before their places.
func (v *vocabulary) check(e *Event, at string) []Fault {
	check := v.checks[e.Type]
	if check == nil {
		return nil
	}
	faults := checkData(check, e)
	for i := range faults {
		faults[i].Field = at + faults[i].Field
	}
	return faults
}

// checkData gives the faults of an event's data. Their places are "data" and
// the JSON Pointer of the value (RFC 6901), as "data/lines/0/total".
func checkData(check func([]byte) []Fault, e *Event) []Fault {
	switch e.Form {
	case NoData:
		return []Fault{{Field: "data", Msg: "the type has a schema, and the event has no data"}}
	case TextData, BinaryData:
		return []Fault{{Field: "data", Msg: "the type has a schema, and the data is not JSON"}}
	case JSONData:
	}
	faults := slices.Clone(check(e.Data))
	for i := range faults {
		faults[i].Field = "data" + faults[i].Field
	}
	return faults
}

// PutOwnType makes one of the operator's types, or replaces what was said of
// it; created tells which. A dry run only checks. It fails with Invalid where
// the type breaks a rule or its schema is none, with Conflict where its name is
// taken.
func (s *Service) PutOwnType(ctx context.Context, caller *Token, t OwnType, dryRun bool) (put *OwnType, created bool, err error) {
	if err := need(caller, 0, AdminToken); err != nil {
		return nil, false, err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	old := s.vocabulary.Load().types[t.Name]
	t.UpdatedAt = time.Now()
	t.CreatedAt = t.UpdatedAt
	if old != nil {
		t.CreatedAt = old.CreatedAt
	}
	c := ownChange{types: []*OwnType{&t}}
	if err := s.checkChange(c, false); err != nil || dryRun {
		return &t, old == nil, err
	}
	return &t, old == nil, s.change(ctx, caller, "type.put", "type/"+t.Name, c)
}

// DeleteOwnType takes back what the operator said of a type. Events of the type
// are heard as before: the catalog is open. It fails with Conflict where a
// group still holds the type.
func (s *Service) DeleteOwnType(ctx context.Context, caller *Token, name string) error {
	if err := need(caller, 0, AdminToken); err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	v := s.vocabulary.Load()
	if v.types[name] == nil {
		return noSuch("type of the operator's")
	}
	if _, builtIn := s.contracts[s.OwnContract].Catalog().Type(name); !builtIn {
		for _, group := range slices.Sorted(maps.Keys(v.groups)) {
			if slices.Contains(v.groups[group].Types, name) {
				return &Error{
					Kind: Conflict, Msg: fmt.Sprintf("the group %q holds the type", group),
					Fix: "take it out of the group, or delete the group, first",
				}
			}
		}
	}
	return s.change(ctx, caller, "type.delete", "type/"+name, ownChange{drop: func(tx Tx) error { return tx.DeleteOwnType(name) }})
}

// PutOwnGroup makes one of the operator's groups, or replaces its types;
// created tells which. Subscriptions that named the group before keep the types
// that it then stood for. A dry run only checks.
func (s *Service) PutOwnGroup(ctx context.Context, caller *Token, g Group, dryRun bool) (created bool, err error) {
	if err := need(caller, 0, AdminToken); err != nil {
		return false, err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	_, there := s.vocabulary.Load().groups[g.Name]
	c := ownChange{groups: []Group{g}}
	if err := s.checkChange(c, false); err != nil || dryRun {
		return !there, err
	}
	return !there, s.change(ctx, caller, "group.put", "group/"+g.Name, c)
}

// DeleteOwnGroup deletes one of the operator's groups.
func (s *Service) DeleteOwnGroup(ctx context.Context, caller *Token, name string) error {
	if err := need(caller, 0, AdminToken); err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if _, there := s.vocabulary.Load().groups[name]; !there {
		return noSuch("group of the operator's")
	}
	return s.change(ctx, caller, "group.delete", "group/"+name, ownChange{drop: func(tx Tx) error { return tx.DeleteOwnGroup(name) }})
}

// ApplyOwnTypes puts types and groups, all or none; what is there as it is wished
// is left alone, and so is what is not among them. It is for the start, in the
// operator's name.
func (s *Service) ApplyOwnTypes(ctx context.Context, types []OwnType, groups []Group) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	v := s.vocabulary.Load()
	c := ownChange{}
	now := time.Now()
	for _, t := range types {
		old := v.types[t.Name]
		if old != nil && old.says(&t) {
			continue
		}
		t.CreatedAt, t.UpdatedAt = now, now
		if old != nil {
			t.CreatedAt = old.CreatedAt
		}
		c.types = append(c.types, &t)
	}
	for _, g := range groups {
		if old, there := v.groups[g.Name]; !there || !slices.Equal(old.Types, g.Types) {
			c.groups = append(c.groups, g)
		}
	}
	if len(c.types)+len(c.groups) == 0 {
		return nil
	}
	if err := s.checkChange(c, true); err != nil {
		return err
	}
	return s.change(ctx, &Token{Kind: AdminToken, Name: "settings"}, "type.apply", fmt.Sprintf("%d types, %d groups", len(c.types), len(c.groups)), c)
}

// An ownChange is a change of the operator's types and groups.
type ownChange struct {
	types  []*OwnType
	groups []Group
	drop   func(Tx) error // what else there is to do; nil = nothing
}

// change writes a change that has been checked, and puts it in force. It is
// called with the lock held.
func (s *Service) change(ctx context.Context, caller *Token, action, object string, c ownChange) error {
	err := s.do(ctx, caller, action, 0, object, func(tx Tx, _ *Deed) error {
		for _, t := range c.types {
			if err := tx.PutOwnType(t); err != nil {
				return err
			}
		}
		for _, g := range c.groups {
			if err := tx.PutOwnGroup(g); err != nil {
				return err
			}
		}
		if c.drop != nil {
			return c.drop(tx)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.loadOwnTypes(context.WithoutCancel(ctx)) // it is written, so it must come into force
}

// checkChange fails with the first rule that a change breaks. Where the change
// is of several things, places begin with what they are in.
func (s *Service) checkChange(c ownChange, several bool) error {
	v := s.vocabulary.Load()
	if s.OwnContract == "" {
		return noOwnTypes()
	}
	types, groups := len(v.types), len(v.groups)
	for _, t := range c.types {
		if v.types[t.Name] == nil {
			types++
		}
		if err := s.checkOwnType(v, t); err != nil {
			return inside(err, several, "types."+t.Name+".")
		}
	}
	for _, g := range c.groups {
		if _, there := v.groups[g.Name]; !there {
			groups++
		}
		if err := s.checkOwnGroup(v, g, c.types); err != nil {
			return inside(err, several, "groups."+g.Name+".")
		}
	}
	if types > maxOwnTypes || groups > maxOwnGroups {
		return Errorf(Conflict, "there may be %d types and %d groups of the operator's", maxOwnTypes, maxOwnGroups)
	}
	return nil
}

func noOwnTypes() error {
	return Errorf(Conflict, "no catalog here takes types of the operator's")
}

// inside puts a prefix before the places of an error.
func inside(err error, several bool, prefix string) error {
	if !several {
		return err
	}
	e := *AsError(err)
	e.Msg = prefix[:len(prefix)-1] + ": " + e.Msg
	e.Faults = slices.Clone(e.Faults)
	for i := range e.Faults {
		e.Faults[i].Field = prefix + e.Faults[i].Field
	}
	return &e
}

func (s *Service) checkOwnType(v *vocabulary, t *OwnType) error {
	if !isOwnName(t.Name) {
		return badOwnName(t.Name)
	}
	if _, taken := v.groups[t.Name]; taken {
		return Errorf(Conflict, "a group has the name %q", t.Name)
	}
	if len(t.Description) > maxTypeText {
		return InvalidField("description", "the description has more than %d bytes", maxTypeText)
	}
	if len(t.Deprecated) > maxDeprecation {
		return InvalidField("deprecated", "the text has more than %d bytes", maxDeprecation)
	}
	builtIn, isBuiltIn := s.contracts[s.OwnContract].Catalog().Type(t.Name)
	for _, contract := range s.Contracts {
		if _, theirs := contract.Catalog().Type(t.Name); theirs && !isBuiltIn {
			return Errorf(Conflict, "%q is a type of the contract %s", t.Name, contract.Name())
		}
	}
	if isBuiltIn && t.Common != "" && !slices.Equal(builtIn.Common, []string{t.Common}) {
		return InvalidField("common", "the catalog itself says what %q counts as", t.Name)
	}
	if known, _ := v.catalogs.Common(t.Common); t.Common != "" && known != t.Common {
		return InvalidField("common", "%q is no common name", t.Common)
	}
	return s.checkSchema(t.Schema)
}

func (s *Service) checkSchema(schema []byte) error {
	if len(schema) == 0 {
		return nil
	}
	_, err := s.compileSchema(schema)
	return err
}

func (s *Service) compileSchema(schema []byte) (func([]byte) []Fault, error) {
	if len(schema) > maxSchema {
		return nil, InvalidField("schema", "the schema has more than %d bytes", maxSchema)
	}
	return s.CompileSchema(schema)
}

func (s *Service) checkOwnGroup(v *vocabulary, g Group, besides []*OwnType) error {
	if !isOwnName(g.Name) {
		return badOwnName(g.Name)
	}
	catalog := v.catalogs.byContract[s.OwnContract]
	known := func(name string) bool {
		_, there := catalog.Type(name)
		return there || slices.ContainsFunc(besides, func(t *OwnType) bool { return t.Name == name })
	}
	if known(g.Name) {
		return Errorf(Conflict, "a type has the name %q", g.Name)
	}
	if len(g.Types) == 0 || len(g.Types) > maxGroupTypes {
		return InvalidField("types", "a group stands for 1 to %d types", maxGroupTypes)
	}
	for i, name := range g.Types {
		if !known(name) {
			return InvalidField(fmt.Sprintf("types.%d", i), "%q is no type of the catalog", name)
		}
		if slices.Contains(g.Types[:i], name) {
			return InvalidField(fmt.Sprintf("types.%d", i), "%q is there twice", name)
		}
	}
	return nil
}

// isOwnName tells whether a type or group may have the name: it stands in paths
// and tables as it is.
func isOwnName(name string) bool {
	alphanumeric := func(r rune) bool {
		return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9')
	}
	return name != "" && len(name) <= maxTypeName && alphanumeric(rune(name[0])) &&
		!strings.ContainsFunc(name, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune("._:-", r) })
}

func badOwnName(name string) error {
	return InvalidField("name", "%q is no name for a type or group: 1 to %d ASCII letters, digits and . _ : -, the first a letter or digit", name, maxTypeName)
}

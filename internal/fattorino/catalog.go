package fattorino

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// An EventType is one entry of a catalog.
type EventType struct {
	Name   string   // the contract's own name of the type
	Common []string // common names it is linked to; the first is the one it stands for when published
	Scopes []string // a token needs all of them to subscribe
	Own    *OwnType // what the operator says of it; nil = nothing
}

// A Group is a name that stands for several types of its catalog, in order.
type Group struct {
	Name  string
	Types []string
}

// A Catalog holds the event types of one contract, their groups and scopes,
// and their links to common names. It does not change once made.
type Catalog struct {
	Contract string
	Types    []EventType
	Groups   []Group
	// Open catalogs take any type name besides their own, and the wildcards
	// "*" and "prefix.*".
	Open bool
	// Shared catalogs let several subscriptions of an app hold the same type.
	Shared bool
	// Scopes are those that the contract's own API asks for, besides those of
	// its types.
	Scopes []string

	types    map[string]EventType
	groups   map[string]Group
	byCommon map[string]string // common name → the catalog's type that is told of it
}

// NewCatalog makes a catalog. It fails on a repeated name, be it of a type or a
// group, and on a group member that is no type.
func NewCatalog(contract string, types []EventType, groups []Group) (*Catalog, error) {
	c := &Catalog{
		Contract: contract, Types: types, Groups: groups,
		types: map[string]EventType{}, groups: map[string]Group{}, byCommon: map[string]string{},
	}
	for _, t := range types {
		if _, twice := c.types[t.Name]; twice {
			return nil, fmt.Errorf("catalog %s: type %s twice", contract, t.Name)
		}
		c.types[t.Name] = t
	}
	for _, g := range groups {
		_, twice := c.groups[g.Name]
		if _, taken := c.types[g.Name]; taken || twice {
			return nil, fmt.Errorf("catalog %s: group %s has a name that is taken", contract, g.Name)
		}
		for _, member := range g.Types {
			if _, ok := c.types[member]; !ok {
				return nil, fmt.Errorf("catalog %s: group %s holds unknown type %s", contract, g.Name, member)
			}
		}
		c.groups[g.Name] = g
	}
	c.linkCommon()
	return c, nil
}

// with gives the catalog with the operator's types and groups in it. Where a
// name has come to be taken by the catalog itself, that one stands; of a group,
// the members that are types are left.
func (c *Catalog) with(own []*OwnType, groups []Group) (*Catalog, error) {
	types, names := slices.Clone(c.Types), map[string]bool{}
	for i := range types {
		names[types[i].Name] = true
	}
	for _, t := range own {
		if i := slices.IndexFunc(c.Types, func(e EventType) bool { return e.Name == t.Name }); i >= 0 {
			types[i].Own = t
			continue
		}
		added := EventType{Name: t.Name, Own: t}
		if t.Common != "" {
			added.Common = []string{t.Common}
		}
		types, names[t.Name] = append(types, added), true
	}
	all := slices.Clone(c.Groups)
	for _, g := range groups {
		members := slices.DeleteFunc(slices.Clone(g.Types), func(name string) bool { return !names[name] })
		if _, taken := c.groups[g.Name]; !taken && !names[g.Name] && len(members) > 0 {
			all = append(all, Group{Name: g.Name, Types: members})
		}
	}
	merged, err := NewCatalog(c.Contract, types, all)
	if err != nil {
		return nil, err
	}
	merged.Open, merged.Shared, merged.Scopes = c.Open, c.Shared, c.Scopes
	return merged, nil
}

// linkCommon notes which type is told of each common name: the one that stands
// for it, else the first that also hears it.
func (c *Catalog) linkCommon() {
	for _, t := range c.Types {
		if len(t.Common) > 0 && c.byCommon[t.Common[0]] == "" {
			c.byCommon[t.Common[0]] = t.Name
		}
	}
	for _, t := range c.Types {
		for _, common := range t.Common {
			if c.byCommon[common] == "" {
				c.byCommon[common] = t.Name
			}
		}
	}
}

// Type finds a concrete type by name.
func (c *Catalog) Type(name string) (EventType, bool) {
	t, ok := c.types[name]
	return t, ok
}

// Explode gives the concrete types that name stands for: itself for a type,
// its members in order for a group, nothing for an unknown name. An open
// catalog gives any other name as it is, wildcards included.
func (c *Catalog) Explode(name string) []string {
	if _, ok := c.types[name]; ok {
		return []string{name}
	}
	if g, ok := c.groups[name]; ok {
		return g.Types
	}
	if c.Open && wellFormed(name) {
		return []string{name}
	}
	return nil
}

// wellFormed tells whether name can be a type or a wildcard of an open catalog:
// printable, and a star at its end alone, after a dot or nothing.
func wellFormed(name string) bool {
	stem, wild := strings.CutSuffix(name, "*")
	if wild && stem != "" && !strings.HasSuffix(stem, ".") {
		return false
	}
	if (stem == "" && !wild) || len(name) > maxTypeName {
		return false
	}
	return !strings.ContainsFunc(stem, func(r rune) bool { return r <= ' ' || r == '*' || r == 0x7f })
}

// maxTypeName bounds the length of a type's name, in bytes.
const maxTypeName = 200

// TypeOf gives the name under which this catalog tells of the event: the
// event's own type, else the type linked to its common name. An open catalog
// tells of any other event under the event's own type.
func (c *Catalog) TypeOf(e *Event) (string, bool) {
	if _, ok := c.types[e.Type]; ok {
		return e.Type, true
	}
	if name, ok := c.byCommon[e.Common]; ok && e.Common != "" {
		return name, true
	}
	return e.Type, c.Open
}

// Catalogs is what all contracts' catalogs know together.
type Catalogs struct {
	byContract map[string]*Catalog
	scopes     map[string][]string // any known type name, common names included → the scopes to hear of it
	common     map[string]string   // any known type name, common names included → its common name
	own        map[string]*OwnType // what the operator says, by type
}

// NewCatalogs joins catalogs.
func NewCatalogs(list ...*Catalog) *Catalogs {
	cs := &Catalogs{byContract: map[string]*Catalog{}, scopes: map[string][]string{}, common: map[string]string{}, own: map[string]*OwnType{}}
	for _, c := range list {
		cs.byContract[c.Contract] = c
		for _, t := range c.Types {
			cs.common[t.Name] = ""
			if t.Own != nil {
				cs.own[t.Name] = t.Own
			}
		}
	}
	// Links come after all names, so that a type without a link hides no common
	// name of another catalog.
	for _, c := range list {
		for _, t := range c.Types {
			if len(t.Common) > 0 {
				cs.common[t.Name] = t.Common[0]
			}
			for _, name := range t.Common {
				cs.common[name] = name
			}
			for _, name := range append([]string{t.Name}, t.Common...) {
				cs.scopes[name] = union(cs.scopes[name], t.Scopes)
			}
		}
	}
	for name, t := range cs.own {
		if t.Common != "" { // it is another name for what that stands for
			cs.scopes[name] = union(cs.scopes[name], cs.scopes[t.Common])
		}
	}
	return cs
}

// union gives what is in a or b, each once.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// Linked gives the common names that a type of any contract is told of.
func (cs *Catalogs) Linked(name string) (common []string) {
	for _, c := range cs.byContract {
		if t, ok := c.types[name]; ok {
			common = append(common, t.Common...)
		}
	}
	return common
}

// Scopes gives the scopes that a token needs to hear of a type, of a common
// name, or of all that a wildcard stands for.
func (cs *Catalogs) Scopes(name string) []string {
	prefix, wild := strings.CutSuffix(name, "*")
	if !wild {
		return cs.scopes[name]
	}
	var all []string
	for known, scopes := range cs.scopes {
		if strings.HasPrefix(known, prefix) {
			all = union(all, scopes)
		}
	}
	return all
}

// readings gives, by name, the scope to read of each family that any contract
// knows; that to write has ":a" in place of ":r".
func (cs *Catalogs) readings() (all []string) {
	for _, c := range cs.byContract {
		all = union(all, c.Scopes)
		for _, t := range c.Types {
			all = union(all, t.Scopes)
		}
	}
	return all
}

// ScopesUnder gives the scopes that a token needs to hear of a type under a
// contract. For a name of the contract's own they are what it says. For any
// other, as an open catalog takes, those of the common name count too, as they
// do for readers: another contract's word is no way around them.
func (cs *Catalogs) ScopesUnder(c *Catalog, name string) []string {
	all := cs.Scopes(name)
	if _, own := c.Type(name); own {
		return all
	}
	prefix, wild := strings.CutSuffix(name, "*")
	if !wild {
		return union(all, cs.scopes[cs.common[name]])
	}
	for known, common := range cs.common {
		if strings.HasPrefix(known, prefix) {
			all = union(all, cs.scopes[common])
		}
	}
	return all
}

// All gives the catalogs, ordered by contract name.
func (cs *Catalogs) All() []*Catalog {
	var all []*Catalog
	for _, c := range cs.byContract {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *Catalog) int { return strings.Compare(a.Contract, b.Contract) })
	return all
}

// Common gives the common name of a type of any contract; known is false when
// no catalog has heard of it.
func (cs *Catalogs) Common(typ string) (common string, known bool) {
	common, known = cs.common[typ]
	return common, known
}

// Matches tells whether a wildcard, as "invoice.*", matches a type of any
// catalog.
func (cs *Catalogs) Matches(wildcard string) bool {
	prefix := strings.TrimSuffix(wildcard, "*")
	for known := range cs.common {
		if strings.HasPrefix(known, prefix) {
			return true
		}
	}
	return false
}

// Deprecation is the warning about a type that the operator has marked as
// deprecated; empty for any other.
func (cs *Catalogs) Deprecation(typ string) string {
	if t := cs.own[typ]; t != nil && t.Deprecated != "" {
		return fmt.Sprintf("the type %q is deprecated: %s", typ, t.Deprecated)
	}
	return ""
}

// Noun names the kind of entity that a type speaks of: "invoice" for anything
// linked to "invoice.…", else the part before the last dot.
func (cs *Catalogs) Noun(typ string) string {
	if common := cs.common[typ]; common != "" {
		typ = common
	}
	last := strings.LastIndexByte(typ, '.')
	if last < 0 {
		return typ
	}
	return typ[strings.LastIndexByte(typ[:last], '.')+1 : last]
}

// Nearest gives the known name closest to an unknown one, for a hint; empty
// when nothing is close.
func (cs *Catalogs) Nearest(typ string) string {
	return Closest(typ, slices.Sorted(maps.Keys(cs.common)))
}

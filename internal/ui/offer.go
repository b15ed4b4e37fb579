package ui

import (
	"slices"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// An offer is what a contract lets a subscriber choose: which fields the form
// has.
type offer struct {
	Formats    []string
	Signatures []string
	Handshakes []string
	Orderings  []string
	Methods    []string // how the challenge travels
	Name       bool
	Details    bool // description, pace, schedule, timeout, end
	Extras     bool // filters, thin, header fields, batches, templates
}

// offerOf says what there is to choose. Of what a contract has in principle,
// only that is left which it accepts here and now.
func (u *UI) offerOf(contract string) offer {
	switch contract {
	case "fic":
		return offer{Formats: []string{"binary", "structured"}, Methods: []string{"header", "query"}}
	case "defacto":
		return offer{Name: true}
	case "facturascripts":
		return offer{Name: true, Details: true, Signatures: u.accepted(contract, "signature", []string{"v1", "v1a"})}
	case "native":
		return offer{
			Name: true, Details: true, Extras: true, Methods: []string{"header", "query"},
			Formats:    []string{"binary", "structured", "batch", "standard", "slack", "teams", "discord"},
			Signatures: u.accepted(contract, "signature", []string{"v1", "v1a", "httpsig", "jwt", "none"}),
			Handshakes: u.accepted(contract, "handshake", []string{"challenge", "options", "none"}),
			Orderings:  []string{"none", "entity", "strict"},
		}
	}
	return offer{}
}

// accepted asks the contract which of the values it would take in a field.
func (u *UI) accepted(contract, field string, values []string) []string {
	rules := u.Contracts[contract]
	return slices.DeleteFunc(slices.Clone(values), func(value string) bool {
		trial := &fattorino.NewSubscription{Contract: contract, Sink: "https://example.com/", Types: []string{"invoice.created"}}
		if trial.Options.Signature = value; field == "handshake" {
			trial.Options.Signature, trial.Options.Handshake = "", value
		}
		err := rules.CheckOptions(trial)
		return err != nil && slices.ContainsFunc(fattorino.AsError(err).Faults, func(f fattorino.Fault) bool { return f.Field == field })
	})
}

// A typeFamily is the types of a catalog that speak of the same kind of thing.
type typeFamily struct {
	Name    string
	Types   []typeChoice
	Checked int
}

// A typeChoice is a type, or a group of them, that can be ticked.
type typeChoice struct {
	Name        string
	Short       string   // without what all names of the catalog begin with
	Common      string   // what it is called in common, where that is another name
	Members     []string // of a group
	Description string   // of the operator's
	Deprecated  string
	Scopes      []string
	Checked     bool
}

// treeOf gives a catalog as families of types, groups first, with those ticked
// that are held; and those held that the catalog does not have.
func treeOf(c *fattorino.Catalog, held []string) (groups []typeChoice, families []typeFamily, others []string) {
	for _, g := range c.Groups {
		groups = append(groups, typeChoice{Name: g.Name, Short: strings.TrimPrefix(g.Name, commonPrefix(c)), Members: without(commonPrefix(c), g.Types), Checked: slices.Contains(held, g.Name)})
	}
	prefix := commonPrefix(c)
	for _, t := range c.Types {
		choice := choiceOf(t, prefix)
		choice.Checked = slices.Contains(held, t.Name)
		name := familyOf(choice.Short)
		i := slices.IndexFunc(families, func(f typeFamily) bool { return f.Name == name })
		if i < 0 {
			families, i = append(families, typeFamily{Name: name}), len(families)
		}
		families[i].Types = append(families[i].Types, choice)
		if choice.Checked {
			families[i].Checked++
		}
	}
	for _, name := range held {
		_, known := c.Type(name)
		if !known && !slices.ContainsFunc(c.Groups, func(g fattorino.Group) bool { return g.Name == name }) {
			others = append(others, name)
		}
	}
	return groups, families, others
}

// commonPrefix gives what all names of a catalog begin with, as far as a dot.
func commonPrefix(c *fattorino.Catalog) string {
	if len(c.Types) == 0 {
		return ""
	}
	prefix := c.Types[0].Name
	for _, t := range c.Types {
		for !strings.HasPrefix(t.Name, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	return prefix[:strings.LastIndexByte(prefix, '.')+1]
}

// without takes a prefix away from each of the names.
func without(prefix string, names []string) []string {
	var short []string
	for _, name := range names {
		short = append(short, strings.TrimPrefix(name, prefix))
	}
	return short
}

func choiceOf(t fattorino.EventType, prefix string) typeChoice {
	choice := typeChoice{Name: t.Name, Short: strings.TrimPrefix(t.Name, prefix), Scopes: t.Scopes}
	if len(t.Common) > 0 && t.Common[0] != t.Name {
		choice.Common = t.Common[0]
	}
	if t.Own != nil {
		choice.Description, choice.Deprecated = t.Own.Description, t.Own.Deprecated
	}
	return choice
}

// familyOf gives what comes before the last dot of a type's name.
func familyOf(name string) string {
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		return name[:dot]
	}
	return name
}

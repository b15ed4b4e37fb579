package ui

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A grant gives a role to whoever has the value in the claim.
type grant struct {
	role         role
	claim, value string
}

// String gives the form of the setting: admin:groups=webhook-admins.
func (g grant) String() string { return g.role.String() + ":" + g.claim + "=" + g.value }

// CheckOpenIDRoles fails where one of the texts is not of the form
// role:claim=value. A claim may hold colons and slashes, a value anything.
func CheckOpenIDRoles(texts []string) error {
	_, err := parseGrants(texts)
	return err
}

func parseGrants(texts []string) ([]grant, error) {
	var grants []grant
	for _, text := range texts {
		name, rest, _ := strings.Cut(text, ":")
		claim, value, _ := strings.Cut(rest, "=")
		var g grant
		if err := g.role.UnmarshalText([]byte(name)); err != nil || claim == "" || value == "" {
			return nil, fmt.Errorf("%q is not of the form role:claim=value, as admin:groups=webhook-admins; roles are viewer, operator and admin", text)
		}
		g.claim, g.value = claim, value
		grants = append(grants, g)
	}
	return grants, nil
}

// claims are those of an ID token.
type claims map[string]json.RawMessage

// have tells whether the claim is the value, or a list in which the value is.
// An address counts only if the issuer has verified it: at many of them people
// can write any into their profile.
func (c claims) have(claim, value string) bool {
	if claim == "email" && !c.is("email_verified", "true") {
		return false
	}
	return c.is(claim, value)
}

func (c claims) is(claim, value string) bool {
	var held any
	if err := json.Unmarshal(c[claim], &held); err != nil {
		return false // there is no such claim
	}
	switch held := held.(type) {
	case string:
		return held == value
	case bool:
		return fmt.Sprint(held) == value
	case []any:
		return slices.Contains(held, any(value))
	}
	return false
}

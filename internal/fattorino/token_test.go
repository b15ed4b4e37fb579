package fattorino_test

import (
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestATokenHoldsAScope(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind   fattorino.TokenKind
		scopes []string
		needed string
		want   bool
	}{
		{fattorino.APIToken, []string{"products:r"}, "products:r", true},
		{fattorino.APIToken, []string{"stock:r", "products:r"}, "products:r", true},
		{fattorino.APIToken, []string{"products:a"}, "products:r", true}, // who may write may read
		{fattorino.APIToken, []string{"products:a"}, "products:a", true},
		{fattorino.APIToken, []string{"products:r"}, "products:a", false},
		{fattorino.APIToken, []string{"*"}, "products:r", true},
		{fattorino.APIToken, []string{"*"}, "products:a", true},
		{fattorino.APIToken, []string{"stock:r"}, "products:r", false},
		{fattorino.APIToken, []string{"products"}, "products:r", false},
		{fattorino.APIToken, []string{"issued_documents.invoices:a"}, "issued_documents.quotes:r", false}, // each family for itself
		{fattorino.APIToken, []string{"issued_documents:a"}, "issued_documents.quotes:r", false},          // nor from above
		{fattorino.APIToken, []string{"products:*"}, "products:r", false},                                 // * stands alone
		{fattorino.APIToken, nil, "products:r", false},
		{fattorino.PublishToken, nil, "products:r", false},
		{fattorino.AdminToken, nil, "products:r", true},
	} {
		token := &fattorino.Token{Kind: tt.kind, Scopes: tt.scopes}
		if got := token.Holds(tt.needed); got != tt.want {
			t.Errorf("%s token with %q holds %s: %t, want %t", tt.kind, tt.scopes, tt.needed, got, tt.want)
		}
	}
}

func TestATokenReachesACompany(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind      fattorino.TokenKind
		companies []int64
		want      bool
	}{
		{fattorino.APIToken, []int64{7}, true},
		{fattorino.APIToken, []int64{5, 7}, true},
		{fattorino.APIToken, []int64{5, 77}, false},
		{fattorino.PublishToken, []int64{5}, false},
		{fattorino.APIToken, nil, true}, // none named = all
		{fattorino.AdminToken, []int64{5}, true},
	} {
		token := &fattorino.Token{Kind: tt.kind, Companies: tt.companies}
		if got := token.Reaches(7); got != tt.want {
			t.Errorf("%s token of companies %v reaches 7: %t, want %t", tt.kind, tt.companies, got, tt.want)
		}
	}
}

func TestATokenIsLiveUntilItExpiresOrIsRevoked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name             string
		expires, revoked time.Time
		want             bool
	}{
		{"for ever", time.Time{}, time.Time{}, true},
		{"before it expires", after(1), time.Time{}, true},
		{"as it expires", noon, time.Time{}, false},
		{"after it expired", before(1), time.Time{}, false},
		{"revoked", time.Time{}, before(time.Hour), false},
		{"revoked before it expires", after(day), before(time.Hour), false},
	} {
		token := &fattorino.Token{ExpiresAt: tt.expires, RevokedAt: tt.revoked}
		if got := token.Live(noon); got != tt.want {
			t.Errorf("%s: live %t, want %t", tt.name, got, tt.want)
		}
	}
}

package portal

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// open gives links that are kept in a store, with app 1.
func open(t *testing.T) (*Links, *sqlite.Store) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	vault, err := sign.OpenVault(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	err = store.Update(t.Context(), func(tx fattorino.Tx) error {
		return tx.PutApp(&fattorino.App{Name: "Warehouse", CreatedAt: time.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{Documents: store, Store: store, Signer: sign.NewKeychain(vault)}), store
}

func picture(t *testing.T, kind string, side int) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch shape := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.Black}); kind {
	case "png":
		err = png.Encode(&b, shape)
	case "jpeg":
		err = jpeg.Encode(&b, shape, nil)
	case "gif":
		err = gif.Encode(&b, shape, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Not one character of a link's text can be another.
func TestALinkThatWasTamperedWithOpensNothing(t *testing.T) {
	t.Parallel()
	links, _ := open(t)
	link, text, err := links.Make(t.Context(), Wish{App: 1, Company: 7})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := links.Open(t.Context(), text, time.Now()); err != nil || got.ID != link.ID || got.App != 1 || got.Company != 7 {
		t.Fatalf("the link as it is: %+v, %v", got, err)
	}
	for i := range text {
		for _, other := range []byte{'A', '0', '.', text[i] + 1} {
			if other == text[i] {
				continue
			}
			wrong := text[:i] + string(other) + text[i+1:]
			if _, err := links.Open(t.Context(), wrong, time.Now()); fattorino.KindOf(err) != fattorino.NotFound {
				t.Errorf("%c in the place of %c at %d: %v", other, text[i], i, err)
			}
		}
	}
	for _, wrong := range []string{"", ".", "..", text[1:], text + "A", strings.Repeat("x", 1<<16), strings.ToLower(text)} {
		if _, err := links.Open(t.Context(), wrong, time.Now()); fattorino.KindOf(err) != fattorino.NotFound {
			t.Errorf("%.20s…: %v", wrong, err)
		}
	}
	others, _ := open(t)
	if _, err := others.Open(t.Context(), text, time.Now()); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("the link of another service: %v", err)
	}
}

func TestALinkGivesAnAppsTokenForOneCompany(t *testing.T) {
	t.Parallel()
	links, _ := open(t)
	for name, scopes := range map[string][]string{"left out": nil, "none": {}, "one": {"a:r"}} {
		link, _, err := links.Make(t.Context(), Wish{App: 1, Company: 7, Scopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		caller := link.Caller()
		if caller.Kind != fattorino.APIToken || caller.App != 1 || !caller.Reaches(7) || caller.Reaches(8) || caller.Holds("b:r") != (name == "left out") {
			t.Errorf("scopes %s: the token is %+v", name, caller)
		}
	}
}

func TestWhatIsWrongWithAWishIsSaidOfItsField(t *testing.T) {
	t.Parallel()
	links, _ := open(t)
	big := append(picture(t, "png", 8), make([]byte, MaxLogo)...)
	for _, x := range []struct {
		field string
		wish  Wish
	}{
		{"app_id", Wish{Company: 7}},
		{"app_id", Wish{App: 2, Company: 7}},
		{"company", Wish{App: 1}},
		{"minutes", Wish{App: 1, Company: 7, Minutes: -1}},
		{"minutes", Wish{App: 1, Company: 7, Minutes: MaxMinutes + 1}},
		{"theme.name", Wish{App: 1, Company: 7, Theme: Theme{Name: strings.Repeat("x", 61)}}},
		{"theme.name", Wish{App: 1, Company: 7, Theme: Theme{Name: "two\nlines"}}},
		{"theme.color", Wish{App: 1, Company: 7, Theme: Theme{Color: "red"}}},
		{"theme.color", Wish{App: 1, Company: 7, Theme: Theme{Color: "4c46c7"}}},
		{"theme.color", Wish{App: 1, Company: 7, Theme: Theme{Color: "#4c46c7;}"}}},
		{"theme.logo", Wish{App: 1, Company: 7, Theme: Theme{Logo: []byte("<svg/>")}}},
		{"theme.logo", Wish{App: 1, Company: 7, Theme: Theme{Logo: picture(t, "gif", 8)}}},
		{"theme.logo", Wish{App: 1, Company: 7, Theme: Theme{Logo: picture(t, "png", 1025)}}},
		{"theme.logo", Wish{App: 1, Company: 7, Theme: Theme{Logo: picture(t, "png", 8)[:20]}}},
		{"theme.logo", Wish{App: 1, Company: 7, Theme: Theme{Logo: big}}},
	} {
		_, _, err := links.Make(t.Context(), x.wish)
		if e := fattorino.AsError(err); e == nil || e.Kind != fattorino.Invalid || len(e.Faults) != 1 || e.Faults[0].Field != x.field {
			t.Errorf("%s: got %v", x.field, err)
		}
	}
}

// What has ended is swept out by the next link; a logo stays for as long as the
// last link that shows it.
func TestWhatHasEndedIsSweptOut(t *testing.T) {
	t.Parallel()
	links, store := open(t)
	logo := picture(t, "jpeg", 8)
	long, _, err := links.Make(t.Context(), Wish{App: 1, Company: 7, Minutes: 60, Theme: Theme{Logo: logo}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := links.Make(t.Context(), Wish{App: 1, Company: 7, Minutes: 1, Theme: Theme{Logo: logo}}); err != nil {
		t.Fatal(err)
	}
	if d, err := store.Document(t.Context(), logoKind, 0, long.Logo); err != nil || !d.DueAt.Equal(long.EndsAt) || !bytes.Equal(d.Body, logo) {
		t.Errorf("the logo stays until %v, %v; want %v", d.DueAt, err, long.EndsAt)
	}
	err = store.Update(t.Context(), func(tx fattorino.Tx) error {
		for _, kind := range []string{linkKind, logoKind} {
			if err := tx.PutDocument(&fattorino.Document{Kind: kind, ID: "old", DueAt: time.Now().Add(-time.Second), Body: []byte("{}")}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := links.Make(t.Context(), Wish{App: 1, Company: 7}); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{linkKind, logoKind} {
		if _, err := store.Document(t.Context(), kind, 0, "old"); fattorino.KindOf(err) != fattorino.NotFound {
			t.Errorf("the old %s: %v, want it gone", kind, err)
		}
	}
	if err := links.Withdraw(t.Context(), long.ID); err != nil {
		t.Error(err)
	}
	if err := links.Withdraw(t.Context(), long.ID); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("withdrawn twice: %v", err)
	}
}

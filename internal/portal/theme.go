package portal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/jpeg"
	"image/png"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Bounds of a theme.
const (
	maxName      = 60       // characters
	MaxLogo      = 64 << 10 // bytes
	maxLogoSides = 1024     // pixels
)

// apply puts the theme on a link, and gives the record of its logo; nil where it
// has none.
func (t Theme) apply(link *Link) (*fattorino.Document, error) {
	name := strings.TrimSpace(t.Name)
	if utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		return nil, fattorino.InvalidField("theme.name", "a name has %d characters at most, and is of one line", maxName)
	}
	link.Name = name
	if t.Color != "" {
		hexadecimal, ok := strings.CutPrefix(strings.ToLower(t.Color), "#")
		if _, err := hex.DecodeString(hexadecimal); !ok || err != nil || len(hexadecimal) != 6 {
			return nil, fattorino.InvalidField("theme.color", "%q is not a colour such as #4c46c7", t.Color)
		}
		link.Color = hexadecimal
	}
	if len(t.Logo) == 0 {
		return nil, nil //nolint:nilnil // no logo, and nothing went wrong
	}
	if err := checkLogo(t.Logo); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(t.Logo)
	link.Logo = hex.EncodeToString(sum[:16])
	return &fattorino.Document{Kind: logoKind, ID: link.Logo, DueAt: link.EndsAt, Body: t.Logo}, nil
}

// checkLogo fails with Invalid for what is no picture that is served as a logo.
// A drawing (SVG) is none: it is a document, in which there can be script.
func checkLogo(logo []byte) error {
	if len(logo) > MaxLogo {
		return fattorino.InvalidField("theme.logo", "the logo has %d bytes; %d are allowed", len(logo), MaxLogo)
	}
	var size image.Config
	var err error
	switch LogoType(logo) {
	case "image/png":
		size, err = png.DecodeConfig(bytes.NewReader(logo))
	case "image/jpeg":
		size, err = jpeg.DecodeConfig(bytes.NewReader(logo))
	default:
		return fattorino.InvalidField("theme.logo", "the logo is neither PNG nor JPEG")
	}
	if err != nil {
		return fattorino.InvalidField("theme.logo", "the logo cannot be read as a picture")
	}
	if size.Width > maxLogoSides || size.Height > maxLogoSides {
		return fattorino.InvalidField("theme.logo", "the logo has %d × %d pixels; each side may have %d", size.Width, size.Height, maxLogoSides)
	}
	return nil
}

// LogoType gives the media type of a logo by what it begins with.
func LogoType(logo []byte) string { return http.DetectContentType(logo) }

// keepLogo keeps a logo for as long as the last link that shows it.
func keepLogo(tx fattorino.Tx, logo *fattorino.Document) error {
	kept, err := tx.Document(logoKind, 0, logo.ID)
	switch {
	case fattorino.KindOf(err) == fattorino.NotFound:
	case err != nil:
		return err
	case kept.DueAt.After(logo.DueAt):
		return nil
	}
	return tx.PutDocument(logo)
}

// Logo gives the picture of that name; NotFound where there is none.
func (l *Links) Logo(ctx context.Context, name string) ([]byte, error) {
	d, err := l.Documents.Document(ctx, logoKind, 0, name)
	if err != nil {
		return nil, err
	}
	return d.Body, nil
}

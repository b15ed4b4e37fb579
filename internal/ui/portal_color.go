package ui

import (
	"encoding/hex"
	"fmt"
	"math"
)

// A color is one of sRGB.
type color [3]uint8

// parseColor reads six hexadecimal digits.
func parseColor(text string) (c color, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(c) {
		return c, fmt.Errorf("%q is no colour", text)
	}
	return color(raw), nil
}

func (c color) String() string { return "#" + hex.EncodeToString(c[:]) }

// mix gives c with a share of another, from 0 to 1.
func (c color) mix(other color, share float64) (mixed color) {
	for i := range c {
		mixed[i] = uint8(math.Round(float64(c[i])*(1-share) + float64(other[i])*share))
	}
	return mixed
}

// luminance is the relative luminance of WCAG 2.2.
func (c color) luminance() float64 {
	var linear [3]float64
	for i, v := range c {
		s := float64(v) / 255
		if linear[i] = s / 12.92; s > 0.04045 {
			linear[i] = math.Pow((s+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}

// contrast is the contrast ratio of WCAG 2.2, from 1 to 21.
func contrast(a, b color) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// readable is what WCAG 2.2 asks of text at level AA (success criterion 1.4.3),
// and a little more, for rounding.
const readable = 4.55

// Colours of app.css that an accent is seen on, or has on it. In either look
// they are the least favourable: the darkest of the light, the lightest of the
// dark.
//
//nolint:gochecknoglobals // constants, of which Go has none of this type
var (
	white     = color{0xff, 0xff, 0xff}
	black     = color{}
	lightest  = color{0xff, 0xff, 0xff} // --surface
	lightSunk = color{0xf2, 0xf2, 0xf6} // --sunken
	darkest   = color{0x16, 0x18, 0x1e} // --surface
	darkSunk  = color{0x1d, 0x20, 0x28} // --sunken
)

// towards gives the colour, with as little of another in it as is needed to be
// readable on each of the grounds.
func (c color) towards(other color, grounds ...color) color {
	for share := 0.0; share < 1; share += 0.02 {
		mixed, worst := c.mix(other, share), 21.0
		for _, ground := range grounds {
			worst = min(worst, contrast(mixed, ground))
		}
		if worst >= readable {
			return mixed
		}
	}
	return other
}

// An accent is a colour as each look needs it.
type accent struct{ text, fill, tint color }

// accents gives those of the light and the dark look.
func accents(c color) (light, dark accent) {
	light.tint, dark.tint = lightest.mix(c, 0.08), darkest.mix(c, 0.2)
	light.text = c.towards(black, lightSunk, light.tint)
	light.fill = c.towards(black, white)
	dark.text = c.towards(white, darkSunk, dark.tint)
	dark.fill = light.fill // it has white on it there too
	return light, dark
}

// styleOf gives the style sheet that puts a colour in the place of the product's.
func styleOf(c color) string {
	light, dark := accents(c)
	return fmt.Sprintf(":root {\n  --accent: light-dark(%s, %s);\n  --accent-fill: light-dark(%s, %s);\n  --accent-tint: light-dark(%s, %s);\n}\n",
		light.text, dark.text, light.fill, dark.fill, light.tint, dark.tint)
}

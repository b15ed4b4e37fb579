package fattorino

// Each event is looked into for what it is about. Its data has been checked to
// be JSON when it came in; here it is only gone through, for a tenth of what
// decoding it costs. Of what is not JSON anything may be made, in bounds.

// eachMember calls f with the members of a JSON object, names as written with
// their quotes. It does nothing where the text is no object.
func eachMember(text []byte, f func(name, value []byte)) {
	w := &walk{text: text}
	if !w.take('{') {
		return
	}
	for w.next() == '"' {
		name := w.value()
		if !w.take(':') {
			return
		}
		f(name, w.value())
		if !w.take(',') {
			return
		}
	}
}

// eachElement calls f with the elements of a JSON array.
func eachElement(text []byte, f func(element []byte)) {
	w := &walk{text: text}
	if !w.take('[') || w.next() == ']' {
		return
	}
	for {
		f(w.value())
		if !w.take(',') {
			return
		}
	}
}

// walk is a place in a text.
type walk struct {
	text []byte
	at   int
}

// next gives the next byte that is no space; 0 = the text has ended.
func (w *walk) next() byte {
	for ; w.at < len(w.text); w.at++ {
		switch c := w.text[w.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (w *walk) take(c byte) bool {
	if w.next() != c {
		return false
	}
	w.at++
	return true
}

// value goes past a value and gives it as it is written.
func (w *walk) value() []byte {
	w.next()
	from, depth := w.at, 0
	for w.at < len(w.text) {
		switch w.text[w.at] {
		case '"':
			w.pastString()
			continue
		case '{', '[':
			depth++
		case ' ', '\t', '\r', '\n', ',', ':':
			if depth == 0 {
				return w.text[from:w.at]
			}
		case '}', ']':
			if depth == 0 {
				return w.text[from:w.at]
			}
			if depth--; depth == 0 {
				w.at++
				return w.text[from:w.at]
			}
		}
		w.at++
	}
	return w.text[from:]
}

// pastString goes past a string.
func (w *walk) pastString() {
	for w.at++; w.at < len(w.text); w.at++ {
		switch w.text[w.at] {
		case '\\':
			w.at++
		case '"':
			w.at++
			return
		}
	}
	w.at = len(w.text) // a string that does not end; an escape may have gone beyond it
}

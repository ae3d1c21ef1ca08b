package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible returns a text as a terminal shows it and does nothing else: characters
// that control a terminal or change the order of what stands beside them become
// escapes, as in a string of Go or JSON. Those in keep stay.
//
// Texts come from remote peers: their names, and the errors and crashes of what
// runs there.
func visible(text, keep string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return controls(r) || r == utf8.RuneError }) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch _, size := utf8.DecodeRuneInString(text[i:]); {
		case r == utf8.RuneError && size == 1: // a byte that is not UTF-8
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case !controls(r) || strings.ContainsRune(keep, r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// controls reports whether a terminal may take r for more than a character: the
// control characters of ASCII (C0, DEL) and Latin-1 (C1), those that set the
// direction of text, and the separators of lines and paragraphs.
func controls(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

// A visibleWriter writes texts for people, made visible, in lines.
type visibleWriter struct{ io.Writer }

// Write implements io.Writer. Each call has whole characters.
func (w visibleWriter) Write(text []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, visible(string(text), "\n\t")); err != nil {
		return 0, err
	}
	return len(text), nil
}

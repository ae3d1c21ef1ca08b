package tasklet

import (
	"crypto/sha256"
	"encoding"
	"encoding/gob"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
)

// schemaMaxBytes is the length of the longest schema.
const schemaMaxBytes = 256

// schemaOf describes how gob encodes values of a type: types of one schema can be
// decoded into each other. A long one ends with a hash of the whole.
func schemaOf(t reflect.Type) string {
	var s schemaWriter
	s.add(t)
	text := s.String()
	if len(text) > schemaMaxBytes {
		sum := sha256.Sum256([]byte(text))
		end := "... (" + hex.EncodeToString(sum[:16]) + ")"
		text = strings.ToValidUTF8(text[:schemaMaxBytes-len(end)], "") + end
	}
	return text
}

// A schemaWriter writes a schema.
type schemaWriter struct {
	strings.Builder
	inside []reflect.Type // that are being written, outermost first
}

var encodesItself = []reflect.Type{
	reflect.TypeFor[gob.GobEncoder](), reflect.TypeFor[encoding.BinaryMarshaler](),
}

func (s *schemaWriter) add(t reflect.Type) {
	for {
		for _, i := range encodesItself {
			if t.Implements(i) || reflect.PointerTo(t).Implements(i) {
				s.WriteString(t.String())
				return
			}
		}
		if t.Kind() != reflect.Pointer {
			break
		}
		t = t.Elem()
	}
	for depth, outer := range s.inside {
		if outer == t {
			fmt.Fprintf(s, "^%d", depth)
			return
		}
	}
	s.inside = append(s.inside, t)
	defer func() { s.inside = s.inside[:len(s.inside)-1] }()
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.WriteString("int")
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		s.WriteString("uint")
	case reflect.Float32, reflect.Float64:
		s.WriteString("float")
	case reflect.Complex64, reflect.Complex128:
		s.WriteString("complex")
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			s.WriteString("bytes")
			return
		}
		s.WriteString("[]")
		s.add(t.Elem())
	case reflect.Array:
		fmt.Fprintf(s, "[%d]", t.Len())
		s.add(t.Elem())
	case reflect.Map:
		s.WriteString("map[")
		s.add(t.Key())
		s.WriteString("]")
		s.add(t.Elem())
	case reflect.Struct:
		s.fields(t)
	default:
		s.WriteString(t.Kind().String())
	}
}

// fields writes the fields that gob sends.
func (s *schemaWriter) fields(t reflect.Type) {
	s.WriteString("{")
	between := ""
	for i := range t.NumField() {
		f := t.Field(i)
		inner := f.Type
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if !f.IsExported() || inner.Kind() == reflect.Chan || inner.Kind() == reflect.Func {
			continue
		}
		s.WriteString(between + f.Name + " ")
		s.add(f.Type)
		between = "; "
	}
	s.WriteString("}")
}

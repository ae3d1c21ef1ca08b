package codec

import (
	"encoding"
	"encoding/gob"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// Facts is what Marshal knows of a type before it sees a value.
type facts struct {
	// err says why no value of the type can be decoded again, if that is so.
	err error

	// bounded says that the type contains neither itself nor an interface. Its
	// values have no cycles, and are nested no deeper than the type.
	bounded bool

	// growth is how many bytes of memory one encoded byte of a bounded type
	// may become, at most: see verify.
	growth int

	// verified says that the definition of a bounded type passed verify.
	verified atomic.Bool

	// unbounded are the fields of a struct whose types are not bounded.
	unbounded []int
}

var factsOf sync.Map // reflect.Type to *facts

// learn returns the facts of t.
func learn(t reflect.Type) *facts {
	if f, ok := factsOf.Load(t); ok {
		return f.(*facts)
	}
	l := learner{inProgress: make(map[reflect.Type]bool)}
	return l.learn(t)
}

// A learner learns the facts of a type, and of those inside of it.
type learner struct {
	inProgress map[reflect.Type]bool
}

// recursive stands for a type that contains itself, where it does.
var recursive = &facts{}

func (l *learner) learn(t reflect.Type) *facts {
	if f, ok := factsOf.Load(t); ok {
		return f.(*facts)
	}
	if l.inProgress[t] {
		return recursive
	}
	l.inProgress[t] = true
	defer delete(l.inProgress, t)
	f := &facts{bounded: true, err: undecodable(t, make(map[reflect.Type]bool))}
	switch {
	case f.err != nil, selfCoding(t, encoders) != 0: // such a type bounds its own memory
	case t.Kind() == reflect.Interface:
		f.bounded = false
	default:
		l.inside(f, t)
	}
	known, _ := factsOf.LoadOrStore(t, f)
	return known.(*facts)
}

// inside completes f by what is inside of t.
func (l *learner) inside(f *facts, t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer:
		f.grow(int(t.Elem().Size()))
		f.add(l.learn(t.Elem()))
	case reflect.Slice:
		f.grow(int(t.Elem().Size()))
		f.add(l.learn(t.Elem()))
	case reflect.Array:
		f.add(l.learn(t.Elem()))
	case reflect.Map:
		f.grow(minMapEntries * mapEntrySize(t))
		f.add(l.learn(t.Key()))
		f.add(l.learn(t.Elem()))
	case reflect.Struct:
		for i := range t.NumField() {
			if field := t.Field(i); isSent(field) {
				of := l.learn(field.Type)
				if f.add(of); !of.bounded {
					f.unbounded = append(f.unbounded, i)
				}
			}
		}
	}
}

// add takes in the facts of a type that is inside.
func (f *facts) add(of *facts) {
	f.grow(of.growth)
	f.bounded = f.bounded && of.bounded
}

func (f *facts) grow(n int) { f.growth = min(f.growth+min(n, MaxMemory), MaxMemory) }

// undecodable returns why gob decodes no t though it may encode one, or nil. It
// does not ask about the types that it has seen.
func undecodable(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] {
		return nil
	}
	seen[t] = true
	if !endsPointers(t) {
		return fmt.Errorf("%v points to nothing but itself", t)
	}
	encodes, decodes := selfCoding(t, encoders), selfCoding(t, decoders)
	if encodes != decodes {
		return fmt.Errorf("%v has %s and %s: give it both methods of a pair, or none", t, encoderNames[encodes], decoderNames[decodes])
	}
	if encodes != 0 {
		return nil
	}
	switch t.Kind() {
	case reflect.Map:
		if err := undecodable(t.Key(), seen); err != nil {
			return err
		}
		return undecodable(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return undecodable(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if field := t.Field(i); isSent(field) {
				if err := undecodable(field.Type, seen); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// endsPointers reports whether t points to something other than a pointer, in
// the end.
func endsPointers(t reflect.Type) bool {
	for range maxTypeDepth {
		if t.Kind() != reflect.Pointer {
			return true
		}
		t = t.Elem()
	}
	return false
}

// isSent reports whether gob sends a field.
func isSent(field reflect.StructField) bool {
	if r, _ := utf8.DecodeRuneInString(field.Name); !unicode.IsUpper(r) {
		return false
	}
	if !endsPointers(field.Type) {
		return true
	}
	k := pointee(field.Type).Kind()
	return k != reflect.Chan && k != reflect.Func
}

// pointee returns what is behind all pointers of t.
func pointee(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// The interfaces with which a type encodes and decodes itself, in the order in
// which gob tries them. There is none at 0.
var (
	encoders     = [...]reflect.Type{1: reflect.TypeFor[gob.GobEncoder](), 2: reflect.TypeFor[encoding.BinaryMarshaler]()}
	decoders     = [...]reflect.Type{1: reflect.TypeFor[gob.GobDecoder](), 2: reflect.TypeFor[encoding.BinaryUnmarshaler]()}
	encoderNames = [...]string{"no GobEncode", "GobEncode", "MarshalBinary"}
	decoderNames = [...]string{"no GobDecode", "GobDecode", "UnmarshalBinary"}
)

// selfCoding returns the number of the interface that t, or what it points to,
// has, and 0 for none.
func selfCoding(t reflect.Type, interfaces [3]reflect.Type) int {
	if !endsPointers(t) {
		return 0
	}
	base := pointee(t)
	for n, i := range interfaces {
		if i != nil && (base.Implements(i) || reflect.PointerTo(base).Implements(i)) {
			return n
		}
	}
	return 0
}

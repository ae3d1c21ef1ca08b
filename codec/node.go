package codec

import (
	"fmt"
	"reflect"
	"unicode"
	"unicode/utf8"
)

// A node pairs a type of the sender with the type that receives it. Gob
// compiles the same pairs.
type node struct {
	id        int32
	shape     shape
	length    int          // of an array
	size      int          // of an element, an entry or what a pointer points to, if gob allocates it
	key, elem *node        // elem is also what a pointer points to
	fields    []*node      // of a struct
	t         reflect.Type // the receiver's type, nil if gob skips the value
	steps     int          // nodes that gob compiles again for each field of this type
}

// A nodeKey is the receiver's type, or else the id of a type that gob skips.
type nodeKey struct {
	t  reflect.Type
	id int32
}

// basics are the nodes of gob's predefined types.
var basics = [...]node{
	idBool:      {shape: numberShape, steps: 1},
	idInt:       {shape: numberShape, steps: 1},
	idUint:      {shape: numberShape, steps: 1},
	idFloat:     {shape: numberShape, steps: 1},
	idBytes:     {shape: bytesShape, steps: 1},
	idString:    {shape: bytesShape, steps: 1},
	idComplex:   {shape: complexShape, steps: 1},
	idInterface: {shape: interfaceShape, steps: 1},
}

var (
	ignoredInterface = node{shape: ignoredShape, steps: 1}
	noNode           = node{shape: numberShape} // after a failure
)

// match returns the node for the sender's type id and the receiver's type t,
// nil if the receiver has no place for the value.
func (s *skimmer) match(id int32, t reflect.Type, depth int) *node {
	if s.err != nil {
		return &noNode
	}
	if depth > maxTypeDepth {
		s.fail("types are nested more than %d deep", maxTypeDepth)
		return &noNode
	}
	if t != nil && t.Kind() == reflect.Pointer {
		elem := s.match(id, t.Elem(), depth+1)
		return &node{shape: pointerShape, size: int(t.Elem().Size()), elem: elem, steps: elem.steps}
	}
	if id >= idBool && id <= idInterface {
		if t != nil && !fits(id, t) {
			s.unfit(id, t)
		}
		if t == nil && id == idInterface {
			return &ignoredInterface
		}
		return &basics[id]
	}
	w := s.types[id]
	if w == nil {
		s.fail("type %d is not defined", id)
		return &noNode
	}
	if w.shape >= gobShape {
		return &node{shape: bytesShape, steps: 1} // gob checks that t decodes itself
	}
	key := nodeKey{t: t}
	if t == nil {
		key.id = id
	}
	if n := s.nodes[key]; n != nil {
		// For the second of two types that become one type of the receiver,
		// gob may use what it compiled for the first.
		if n.id != id && !w.same(s.types[n.id]) {
			s.failWith(fmt.Errorf("types %d and %d both become %v", n.id, id, t))
		}
		return n
	}
	n := &node{id: id, shape: w.shape, length: w.length, t: t}
	if s.nodes == nil {
		s.nodes = make(map[nodeKey]*node)
	}
	s.nodes[key] = n
	if t != nil && !w.fits(t) {
		s.unfit(id, t)
		return n
	}
	s.fill(n, w, depth)
	return n
}

// fill pairs what is inside of a type, w on the wire.
func (s *skimmer) fill(n *node, w *wireType, depth int) {
	if w.shape == structShape {
		n.fields = make([]*node, len(w.fields))
		for i, f := range w.fields {
			n.fields[i] = s.match(f.id, fieldOf(n.t, f.name), depth+1)
			s.chargeType(n.fields[i].steps * compileCost)
		}
		n.steps = 1
		return
	}
	var key, elem reflect.Type
	if n.t != nil {
		elem = n.t.Elem()
		n.size = int(elem.Size())
	}
	if n.t != nil && w.shape == mapShape {
		key = n.t.Key()
		n.size = mapEntrySize(n.t)
	}
	if w.shape == mapShape {
		n.key = s.match(w.key, key, depth+1)
		n.steps = n.key.steps
	}
	n.elem = s.match(w.elem, elem, depth+1)
	n.steps = min(1+n.steps+n.elem.steps, 1<<20)
}

// minMapEntries is how many entries the smallest map has room for.
const minMapEntries = 8

// mapEntrySize returns the memory that an entry of a map takes: Swiss tables are
// between 7/16 and 7/8 full.
func mapEntrySize(t reflect.Type) int { return 5*(int(t.Key().Size()+t.Elem().Size()))/2 + 2 }

// fieldOf returns the type of the field that gob decodes a sent field into,
// nil for none.
func fieldOf(t reflect.Type, name []byte) reflect.Type {
	if t == nil {
		return nil
	}
	if r, _ := utf8.DecodeRune(name); !unicode.IsUpper(r) {
		return nil
	}
	f, _ := t.FieldByName(string(name))
	return f.Type
}

// same reports whether values of two types other than structs have the same
// bytes.
func (w *wireType) same(o *wireType) bool {
	return w.shape == o.shape && w.shape != structShape &&
		w.key == o.key && w.elem == o.elem && w.length == o.length
}

func (w *wireType) fits(t reflect.Type) bool {
	switch w.shape {
	case arrayShape:
		return t.Kind() == reflect.Array && t.Len() == w.length
	case sliceShape:
		return t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8
	case mapShape:
		return t.Kind() == reflect.Map
	default:
		return t.Kind() == reflect.Struct
	}
}

func fits(id int32, t reflect.Type) bool {
	switch k := t.Kind(); id {
	case idBool:
		return k == reflect.Bool
	case idInt:
		return k >= reflect.Int && k <= reflect.Int64
	case idUint:
		return k >= reflect.Uint && k <= reflect.Uintptr
	case idFloat:
		return k == reflect.Float32 || k == reflect.Float64
	case idComplex:
		return k == reflect.Complex64 || k == reflect.Complex128
	case idString:
		return k == reflect.String
	case idBytes:
		return k == reflect.Slice && t.Elem().Kind() == reflect.Uint8
	default:
		return k == reflect.Interface
	}
}

func (s *skimmer) unfit(id int32, t reflect.Type) {
	s.failWith(fmt.Errorf("type %d of the sender does not fit %v", id, t))
}

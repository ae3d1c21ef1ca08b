package codec

// The ids of gob's predefined types that values may have, from the table in
// the documentation of encoding/gob. Ids below firstID belong to gob.
const (
	idBool = 1 + iota
	idInt
	idUint
	idFloat
	idBytes
	idString
	idComplex
	idInterface

	firstID = 64
)

// A shape says how the bytes of a value are laid out.
type shape uint8

// The first seven are the fields of gob's wireType, in order.
const (
	arrayShape shape = 1 + iota
	sliceShape
	structShape
	mapShape
	gobShape // the output of a GobEncode method
	binaryShape
	textShape

	numberShape  // one unsigned integer: bool, int, uint, float
	complexShape // two of them
	bytesShape   // a length and as many bytes
	interfaceShape
	ignoredShape // an interface that the receiver has no field for
	pointerShape // of the receiver only: nothing on the wire
)

// A wireType is a type as its sender defines it.
type wireType struct {
	shape     shape
	key, elem int32
	length    int
	fields    []wireField
	raw       []byte // the definition
}

type wireField struct {
	name []byte
	id   int32
}

// sequence reads type definitions up to the id of a value, as gob does. Gob
// splits a message after each definition that an interface value needs, so
// that the rest of the value is in the message after; inside an interface's
// value it puts a length there instead.
func (s *skimmer) sequence(inInterface bool) int32 {
	for s.err == nil {
		if s.pos == s.end {
			s.message()
		}
		id := s.id()
		if id >= 0 {
			return id
		}
		s.define(-id)
		if s.pos < s.end {
			if !inInterface {
				s.fail("bytes after a type definition")
			}
			s.length()
		}
	}
	return 0
}

// define reads the definition of the type id: a wireType struct with exactly
// one of its fields, itself a struct. Gob takes more than one, and then reads
// values by one or another.
func (s *skimmer) define(id int32) {
	if id < firstID || s.types[id] != nil {
		s.fail("type %d is defined twice", id)
		return
	}
	start := s.pos
	what := s.uint()
	if what < uint64(arrayShape) || what > uint64(textShape) {
		s.fail("definition of type %d", id)
		return
	}
	w := &wireType{shape: shape(what)}
	for field := uint64(0); s.err == nil; {
		delta := s.uint()
		if delta == 0 {
			break
		}
		field = min(field, 3) + min(delta, 4)
		switch {
		case field == 1:
			s.common()
		case field == 2 && w.shape == mapShape:
			w.key = s.id()
		case field == 2 && w.shape == structShape:
			s.fields(w)
		case field == 2 && w.shape <= sliceShape, field == 3 && w.shape == mapShape:
			w.elem = s.id()
		case field == 3 && w.shape == arrayShape:
			w.length = int(s.id())
		default:
			s.fail("definition of type %d", id)
		}
	}
	if s.uint() != 0 || w.length < 0 {
		s.fail("definition of type %d", id)
	}
	if s.err != nil {
		return
	}
	w.raw = s.data[start:s.pos]
	s.typeMemory = min(s.typeMemory+typeMemoryFactor*len(w.raw), MaxMemory)
	s.chargeType(definitionCost)
	if s.types == nil {
		s.types = make(map[int32]*wireType)
	}
	s.types[id] = w
}

// common skips a CommonType: the name and the id once more, which gob ignores.
func (s *skimmer) common() {
	s.pair(func() { s.bytes() })
}

// fields reads a []fieldType.
func (s *skimmer) fields(w *wireType) {
	n := s.count()
	if s.err != nil {
		return
	}
	w.fields = make([]wireField, n)
	for i := range w.fields {
		f := &w.fields[i]
		f.id = s.pair(func() { f.name = s.bytes() })
		if s.err != nil {
			return
		}
		if len(f.name) == 0 {
			s.fail("field without a name")
		}
	}
}

// pair reads a struct of a string, by calling name, and an id.
func (s *skimmer) pair(name func()) (id int32) {
	field := s.uint()
	if field == 1 {
		name()
		if field = s.uint(); field != 0 {
			field++
		}
	}
	if field == 2 {
		id = s.id()
		field = s.uint()
	}
	if field != 0 {
		s.fail("type definition")
	}
	return id
}

package codec

import "reflect"

// verify checks a gob stream of one value before gob decodes it into a t.
//
// Gob trusts the stream: a map's count becomes an allocation, a type that
// contains itself a recursion. Verify reads the same bytes in the same way,
// and so it follows gob into its corners: what the receiver has no field for
// gob skips, which reads an interface value differently, and it tells types
// apart by the receiver's type. That is why verify needs t.
//
// What is bounded: every count and length by the bytes left, depth by MaxDepth,
// and by MaxMemory the sum of the elements of slices and maps at their size in
// memory, and of what pointers and interfaces point to. The memory for type
// definitions and for the decoders that gob compiles for them is bounded by
// the bytes of the definitions.
//
// What is not: what a type's own GobDecode or UnmarshalBinary method does,
// the size in memory of such a type in an interface, and gob's garbage, a
// small multiple of the rest. Ranges of numbers are left to gob.
func verify(data []byte, t reflect.Type) error {
	s := skimmer{data: data, memory: MaxMemory, typeMemory: typeMemoryBase}
	s.single(s.match(s.sequence(false), t, 0), 0)
	if s.err == nil && (s.pos < s.end || s.end < len(data)) {
		s.fail("%d bytes after the value", len(data)-s.pos)
	}
	return s.err
}

// single skims a value that is not inside another one, or in an interface: a
// zero precedes all but structs.
func (s *skimmer) single(n *node, depth int) {
	for n.shape == pointerShape {
		s.charge(1, n.size)
		n = n.elem
	}
	switch {
	case n.shape != structShape:
		if s.uint() != 0 {
			s.fail("no zero before a single value")
		}
	case s.pos == s.end && s.end == len(s.data):
		return // gob writes nothing for a pointer to a nil pointer to a struct
	}
	s.value(n, depth)
}

func (s *skimmer) value(n *node, depth int) {
	if s.err != nil {
		return
	}
	if depth > MaxDepth {
		s.failWith(tooDeep())
		return
	}
	switch n.shape {
	case numberShape:
		s.uint()
	case complexShape:
		s.uint()
		s.uint()
	case bytesShape:
		s.bytes()
	case interfaceShape:
		s.dynamic(depth)
	case ignoredShape:
		s.bytes()
		s.sequence(true)
		s.bytes()
	case pointerShape:
		s.charge(1, n.size)
		s.value(n.elem, depth)
	case structShape:
		s.structure(n, depth)
	case mapShape:
		count := s.count()
		if n.t != nil && count > 0 {
			s.charge(max(count, minMapEntries), n.size)
		}
		for ; count > 0 && s.err == nil; count-- {
			s.value(n.key, depth+1)
			s.value(n.elem, depth+1)
		}
	case sliceShape:
		count := s.count()
		s.charge(count, n.size)
		s.elements(n.elem, count, depth+1)
	case arrayShape:
		count := s.count()
		if count != n.length {
			s.fail("array of %d has %d elements", n.length, count)
		}
		s.elements(n.elem, count, depth+1)
	}
}

func (s *skimmer) elements(n *node, count, depth int) {
	if n.shape == numberShape {
		for ; count > 0 && s.err == nil; count-- {
			s.uint()
		}
		return
	}
	for ; count > 0 && s.err == nil; count-- {
		s.value(n, depth)
	}
}

// structure skims fields, each after the distance from the one before.
func (s *skimmer) structure(n *node, depth int) {
	field := -1
	for s.err == nil {
		delta := s.uint()
		if delta == 0 {
			return
		}
		if delta >= uint64(len(n.fields)-field) {
			s.fail("field out of range at byte %d", s.pos)
			return
		}
		field += int(delta)
		if f := n.fields[field]; f.shape == numberShape {
			s.uint()
		} else {
			s.value(f, depth+1)
		}
	}
}

// dynamic skims an interface value: the name of its type, empty for nil, and
// the value as if it were a stream of its own.
func (s *skimmer) dynamic(depth int) {
	name := s.bytes()
	if len(name) == 0 {
		return
	}
	id := s.sequence(true)
	s.length()
	t := s.concrete(name, id)
	if t != nil {
		s.charge(1, 2*int(t.Size()))
	}
	s.single(s.match(id, t, 0), depth+1)
}

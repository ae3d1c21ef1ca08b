package codec

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// concretes caches the types behind the names of gob's registry, which does
// not tell them and never changes one. It grows no larger than the registry.
var concretes sync.Map // string to reflect.Type

// concrete returns the type that gob decodes a value of type id into, when an
// interface names it. It is nil where no choice of gob's depends on it: the
// type, or what arrays of it hold in the end, is predefined or decodes itself.
func (s *skimmer) concrete(name []byte, id int32) reflect.Type {
	w := s.types[id]
	inner := id
	for depth := 0; w != nil && w.shape == arrayShape; depth++ {
		if depth > maxTypeDepth {
			s.fail("types are nested more than %d deep", maxTypeDepth)
			return nil
		}
		inner = w.elem
		w = s.types[inner]
	}
	if s.err != nil || inner < firstID && inner != idInterface || w != nil && w.shape >= gobShape {
		return nil
	}
	if t, ok := concretes.Load(string(name)); ok {
		return t.(reflect.Type)
	}
	t, err := s.probe(name, id)
	if err != nil {
		s.failWith(fmt.Errorf("interface value %.100q: %w", name, err))
		return nil
	}
	concretes.Store(strings.Clone(string(name)), t)
	return t
}

// probe has gob decode the zero value of type id, as name, to see its type.
func (s *skimmer) probe(name []byte, id int32) (t reflect.Type, err error) {
	p := prober{types: s.types, left: len(s.data)}
	p.define(id, make(map[int32]bool), 0)
	if w := s.types[id]; w != nil && w.shape != structShape {
		p.value = append(p.value, 0)
	}
	p.zero(id)
	if p.err != nil {
		return nil, p.err
	}
	message := []byte{idInterface << 1, 0}
	message = appendUint(message, uint64(len(name)))
	message = append(message, name...)
	message = appendUint(message, uint64(id)<<1)
	message = appendUint(message, uint64(len(p.value)))
	p.message(append(message, p.value...))

	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrMalformed, r)
		}
	}()
	var v any
	if err := gob.NewDecoder(bytes.NewReader(p.stream)).Decode(&v); err != nil {
		return nil, err
	}
	return reflect.TypeOf(v), nil
}

// A prober writes the stream of a probe.
type prober struct {
	types  map[int32]*wireType
	left   int // bytes that the value may have
	err    error
	stream []byte
	value  []byte
}

func (p *prober) message(m []byte) {
	p.stream = appendUint(p.stream, uint64(len(m)))
	p.stream = append(p.stream, m...)
}

// define writes the types that id consists of, but structs without fields: gob
// then asks nothing more of the receiver than to be a struct.
func (p *prober) define(id int32, defined map[int32]bool, depth int) {
	w := p.types[id]
	switch {
	case w == nil || defined[id] || p.err != nil:
		return
	case depth > maxTypeDepth:
		p.err = fmt.Errorf("%w: types are nested more than %d deep", ErrMalformed, maxTypeDepth)
		return
	}
	defined[id] = true
	raw := w.raw
	if w.shape == structShape {
		raw = []byte{byte(structShape), 0, 0}
	}
	p.message(append(appendUint(nil, uint64(id-1)<<1|1), raw...))
	if w.shape != structShape {
		p.define(w.key, defined, depth+1)
		p.define(w.elem, defined, depth+1)
	}
}

// zero writes the zero value of type id. None is shorter, so it must fit in
// the bytes that are left for the value. Concrete has bounded the recursion.
func (p *prober) zero(id int32) {
	w := p.types[id]
	if w == nil || w.shape != arrayShape {
		p.value = append(p.value, 0)
		return
	}
	if w.length > p.left-len(p.value) {
		p.err = fmt.Errorf("%w: array of %d elements", ErrMalformed, w.length)
		return
	}
	p.value = appendUint(p.value, uint64(w.length))
	for i := 0; i < w.length && p.err == nil; i++ {
		p.zero(w.elem)
	}
}

// appendUint appends an unsigned integer as gob writes it.
func appendUint(dst []byte, u uint64) []byte {
	if u < 0x80 {
		return append(dst, byte(u))
	}
	n := 8
	for u>>(8*(n-1)) == 0 {
		n--
	}
	dst = append(dst, byte(-n))
	for n--; n >= 0; n-- {
		dst = append(dst, byte(u>>(8*n)))
	}
	return dst
}

package program_test

import (
	"encoding/binary"
	"slices"
)

// tiny is the least module that has all that a Go program has. Its fields are
// the contents of sections; a test changes some and sees what becomes of it.
type tiny struct {
	head     []byte
	sections map[byte][]byte
	order    []byte
	customs  map[string][]byte
}

// vec returns a list of elements.
func vec(elements ...[]byte) []byte {
	out := binary.AppendUvarint(nil, uint64(len(elements)))
	return append(out, slices.Concat(elements...)...)
}

// str returns a string or a function body with its length.
func str(s string) []byte { return append(binary.AppendUvarint(nil, uint64(len(s))), s...) }

const (
	wrapperBody = "\x02\x01\x7f\x01\x7e\x23\x00\x21\x01\x20\x01\x28\x02\x08\x10\x00\x23\x00\x21\x01\xad\x21\x02\x20\x01\x20\x02\x3e\x02\x10\x20\x01\x41\x08\x6a\x22\x01\x24\x00\x41\x00\x0f\x00\x0b"
	loopBody    = "\x00\x23\x07\x45\x04\x40\x03\x40\x23\x00\x41\x08\x6b\x2f\x01\x00\x23\x00\x41\x08\x6b\x28\x02\x02\x11\x00\x00\x1a\x23\x07\x45\x0d\x00\x0b\x0b\x41\x00\x24\x07\x0f\x00\x0b"
	startBody   = "\x00\x10\x02\x0f\x00\x0b"
	// A function of the compiler's with a dispatch loop, a float local, and a
	// call that it cannot be left in.
	jumpBody = "\x03\x01\x7f\x02\x7e\x01\x7c\x23\x00\x21\x01\x02\x40\x03\x40\x02\x40\x02\x40\x20\x00\x0e\x02\x00\x01\x01\x0b\x41\x00\x10\x04\x04\x40\x00\x0b\x0b\x41\x01\x21\x00\x0c\x00\x0b\x00\x0b\x41\x01\x0b"
)

func newTiny(version string) *tiny {
	global32, global64 := []byte("\x7f\x01\x41\x00\x0b"), []byte("\x7e\x01\x42\x00\x0b")
	return &tiny{
		head:  []byte("\x00asm\x01\x00\x00\x00"),
		order: []byte{1, 2, 3, 4, 5, 6, 7, 9, 10, 11},
		sections: map[byte][]byte{
			1:  vec([]byte("\x60\x01\x7f\x01\x7f"), []byte("\x60\x00\x00")),
			2:  vec(slices.Concat(str("dstackless"), str("f"), []byte{0, 0})),
			3:  vec([]byte{0}, []byte{1}, []byte{1}, []byte{0}),
			4:  []byte("\x01\x70\x00\x84\x20"),
			5:  []byte("\x01\x00\x02"),
			6:  vec(global32, global64, global64, global64, global64, global64, global64, global32),
			7:  vec(append(str("_start"), 0, 3), append(str("memory"), 2, 0)),
			9:  []byte("\x01\x00\x41\x80\x20\x0b\x04\x01\x02\x03\x04"),
			10: vec(str(wrapperBody), str(loopBody), str(startBody), str(jumpBody)),
			11: vec([]byte("\x00\x41\x80\x20\x0b\x05hello"), []byte("\x00\x41\x80\xe0\x00\x0b\x05world")),
		},
		customs: map[string][]byte{
			"producers": vec(append(str("language"), vec(append(str("Go"), str(version)...))...)),
			"name":      append([]byte{1, 7}, vec(append([]byte{1}, str("wrap")...))...),
		},
	}
}

// bytes returns the module.
func (m *tiny) bytes() []byte {
	out := slices.Clone(m.head)
	for _, id := range m.order {
		out = append(out, id)
		out = append(out, str(string(m.sections[id]))...)
	}
	for _, name := range []string{"producers", "name"} {
		if content, ok := m.customs[name]; ok {
			out = append(out, 0)
			out = append(out, str(string(str(name))+string(content))...)
		}
	}
	return out
}

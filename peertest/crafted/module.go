// Package crafted makes WebAssembly modules that the Go compiler does not, for
// tests of what takes in modules.
package crafted

import (
	"encoding/binary"
	"maps"
	"slices"
)

// A Module is the contents of a module's sections; a test changes some and sees
// what becomes of it.
type Module struct {
	Head     []byte            // magic number and version
	Sections map[byte][]byte   // by their numbers
	Order    []byte            // in which sections follow each other
	Customs  map[string][]byte // custom sections, behind the others
}

// Vec returns a list of elements.
func Vec(elements ...[]byte) []byte {
	out := binary.AppendUvarint(nil, uint64(len(elements)))
	return append(out, slices.Concat(elements...)...)
}

// Str returns a string or a function body with its length.
func Str(s string) []byte { return append(binary.AppendUvarint(nil, uint64(len(s))), s...) }

// The bodies of New's functions. Their numbers begin at 1: 0 is the import.
const (
	// WrapperBody calls the import.
	WrapperBody = "\x02\x01\x7f\x01\x7e\x23\x00\x21\x01\x20\x01\x28\x02\x08\x10\x00\x23\x00\x21\x01\xad\x21\x02\x20\x01\x20\x02\x3e\x02\x10\x20\x01\x41\x08\x6a\x22\x01\x24\x00\x41\x00\x0f\x00\x0b"
	// LoopBody is the runtime's wasm_pc_f_loop.
	LoopBody = "\x00\x23\x07\x45\x04\x40\x03\x40\x23\x00\x41\x08\x6b\x2f\x01\x00\x23\x00\x41\x08\x6b\x28\x02\x02\x11\x00\x00\x1a\x23\x07\x45\x0d\x00\x0b\x0b\x41\x00\x24\x07\x0f\x00\x0b"
	// StartBody calls LoopBody, and is what starts the program.
	StartBody = "\x00\x10\x02\x0f\x00\x0b"
	// JumpBody is a function of the compiler's with a dispatch loop, a float local, and a
	// call that it cannot be left in.
	JumpBody = "\x03\x01\x7f\x02\x7e\x01\x7c\x23\x00\x21\x01\x02\x40\x03\x40\x02\x40\x02\x40\x20\x00\x0e\x02\x00\x01\x01\x0b\x41\x00\x10\x04\x04\x40\x00\x0b\x0b\x41\x01\x21\x00\x0c\x00\x0b\x00\x0b\x41\x01\x0b"
)

// New returns the least module that has all that a Go program has.
func New(version string) *Module {
	global32, global64 := []byte("\x7f\x01\x41\x00\x0b"), []byte("\x7e\x01\x42\x00\x0b")
	return &Module{
		Head:  []byte("\x00asm\x01\x00\x00\x00"),
		Order: []byte{1, 2, 3, 4, 5, 6, 7, 9, 10, 11},
		Sections: map[byte][]byte{
			1:  Vec([]byte("\x60\x01\x7f\x01\x7f"), []byte("\x60\x00\x00")),
			2:  Vec(slices.Concat(Str("dstackless"), Str("f"), []byte{0, 0})),
			3:  Vec([]byte{0}, []byte{1}, []byte{1}, []byte{0}),
			4:  []byte("\x01\x70\x00\x84\x20"),
			5:  []byte("\x01\x00\x02"),
			6:  Vec(global32, global64, global64, global64, global64, global64, global64, global32),
			7:  Vec(append(Str("_start"), 0, 3), append(Str("memory"), 2, 0)),
			9:  []byte("\x01\x00\x41\x80\x20\x0b\x04\x01\x02\x03\x04"),
			10: Vec(Str(WrapperBody), Str(LoopBody), Str(StartBody), Str(JumpBody)),
			11: Vec([]byte("\x00\x41\x80\x20\x0b\x05hello"), []byte("\x00\x41\x80\xe0\x00\x0b\x05world")),
		},
		Customs: map[string][]byte{
			"producers": Vec(append(Str("language"), Vec(append(Str("Go"), Str(version)...))...)),
			"name":      append([]byte{1, 7}, Vec(append([]byte{1}, Str("wrap")...))...),
		},
	}
}

// Bytes returns the module.
func (m *Module) Bytes() []byte {
	out := slices.Clone(m.Head)
	for _, id := range m.Order {
		out = append(out, id)
		out = append(out, Str(string(m.Sections[id]))...)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Customs)) {
		out = append(out, 0)
		out = append(out, Str(string(Str(name))+string(m.Customs[name]))...)
	}
	return out
}

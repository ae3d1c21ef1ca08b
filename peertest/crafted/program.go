package crafted

import (
	"encoding/binary"
	"slices"
)

// A Function is a function of a [Program]: the number of its type, and its body
// with the declarations of locals.
type Function struct {
	Type byte
	Body string
}

// The types of functions.
const (
	GoFunction = 0 // func(i32) i32, as the Go compiler has it
	Procedure  = 1 // func()
)

// First is the number of a [Program]'s first function: two are in front of it.
const First = 2

// Program returns a module without imports that runs: wasm_pc_f_loop calls the
// first of the functions, which must be a GoFunction, whenever that returns.
func Program(functions ...Function) *Module {
	m := New("go1.26.1")
	types, table := []byte{Procedure, Procedure}, []byte{0, 1}
	bodies := [][]byte{Str(LoopBody), Str(enter)}
	for n, f := range functions {
		types = append(types, f.Type)
		table = binary.AppendUvarint(table, uint64(First+n))
		bodies = append(bodies, Str(f.Body))
	}
	size := binary.AppendUvarint(nil, uint64(len(types)))
	m.Sections[2] = Vec()
	m.Sections[3] = slices.Concat(size, types)
	m.Sections[4] = binary.AppendUvarint([]byte{1, 0x70, 0}, uint64(0x1000+len(types)))
	m.Sections[7] = Vec(append(Str("_start"), 0, 1), append(Str("memory"), 2, 0))
	m.Sections[9] = slices.Concat([]byte("\x01\x00\x41\x80\x20\x0b"), size, table)
	m.Sections[10] = Vec(bodies...)
	return m
}

// enter makes the stack pointer 8192, puts the program counter of function First
// below it, and calls wasm_pc_f_loop.
const enter = "\x00\x41\x80\xc0\x00\x24\x00" +
	"\x23\x00\x41\x08\x6b\x42\x80\x80\x88\x80\x01\x37\x03\x00" +
	"\x10\x00\x0f\x00\x0b"

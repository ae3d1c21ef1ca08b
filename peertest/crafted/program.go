package crafted

import (
	"encoding/binary"
	"slices"
	"strings"
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
	m.Sections[2] = Vec()
	m.setFunctions(0, functions)
	return m
}

// setFunctions gives a module with so many imports its functions.
func (m *Module) setFunctions(imports byte, functions []Function) {
	types, table := []byte{Procedure, Procedure}, []byte{imports, imports + 1}
	bodies := [][]byte{Str(LoopBody), Str(enter + string(rune(imports)) + "\x0f\x00\x0b")}
	for n, f := range functions {
		types = append(types, f.Type)
		table = binary.AppendUvarint(table, uint64(int(imports)+First+n))
		bodies = append(bodies, Str(f.Body))
	}
	size := binary.AppendUvarint(nil, uint64(len(types)))
	m.Sections[3] = slices.Concat(size, types)
	m.Sections[4] = binary.AppendUvarint([]byte{1, 0x70, 0}, uint64(0x1000+len(types)))
	m.Sections[7] = Vec(append(Str("_start"), 0, imports+1), append(Str("memory"), 2, 0))
	m.Sections[9] = slices.Concat([]byte("\x01\x00\x41\x80\x20\x0b"), size, table)
	m.Sections[10] = Vec(bodies...)
}

// enter makes the stack pointer 8192, puts the program counter of function First
// below it, and calls what follows, wasm_pc_f_loop.
const enter = "\x00\x41\x80\xc0\x00\x24\x00" +
	"\x23\x00\x41\x08\x6b\x42\x80\x80\x88\x80\x01\x37\x03\x00" +
	"\x10"

// Data is where the data begins that [Asking] gives a program.
const Data = 16384

// Asking returns a module with 1 MiB of memory that calls a function of WASI again
// and again, for ever. All its arguments, and its result, are i32.
func Asking(name string, data []byte, args ...uint32) *Module {
	m := New("go1.26.1")
	m.Sections[1] = Vec([]byte("\x60\x01\x7f\x01\x7f"), []byte("\x60\x00\x00"),
		[]byte("\x60"+string(Str(strings.Repeat("\x7f", len(args))))+"\x01\x7f"))
	m.Sections[2] = Vec(slices.Concat(Str("wasi_snapshot_preview1"), Str(name), []byte{0, 2}))
	m.Sections[5] = []byte("\x01\x00\x10")
	var stack []byte
	wrapper := "\x02\x01\x7f\x01\x7e\x23\x00\x21\x01" // local 1 = SP
	for n, arg := range args {
		wrapper += "\x20\x01\x28\x02" + string(rune(8+8*n))
		stack = binary.LittleEndian.AppendUint64(stack, uint64(arg))
	}
	wrapper += "\x10\x00\x23\x00\x21\x01\xad\x21\x02\x20\x01\x20\x02\x3e\x02" + string(rune(8+8*len(args))) +
		"\x20\x01\x41\x08\x6a\x22\x01\x24\x00\x41\x00\x0f\x00\x0b"
	m.setFunctions(1, []Function{
		{GoFunction, "\x00\x03\x40\x23\x00\x41\x08\x6b\x24\x00\x41\x00\x10\x04\x1a\x0c\x00\x0b\x41\x00\x0b"},
		{GoFunction, wrapper},
	})
	m.Sections[11] = Vec(
		slices.Concat([]byte("\x00\x41\x80\xc0\x00\x0b"), Str(string(stack))), // at 8192, the stack
		slices.Concat([]byte("\x00\x41\x80\x80\x01\x0b"), Str(string(data))))  // at Data
	return m
}

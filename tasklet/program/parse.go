package program

import "bytes"

// Section numbers of the WebAssembly core specification, chapter 5.5.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secCount
)

// module is a module taken apart, checked no further than its own structure.
type module struct {
	sections [secCount][]byte
	names    []byte // the custom section "name"
	version  string // Go version by the section "producers"
	trusted  bool   // its loops are left alone

	types   []funcType
	imports []importFunc
	funcs   []uint32 // type of each function of the module's own
	bodies  [][]byte
	pages   uint32
	start   uint32 // _start
	loop    uint32 // wasm_pc_f_loop, its number without imports
	// By numbers without imports:
	pauses  map[uint32]int  // where each wrapper's import call ends
	noLeave map[uint32]bool // functions that must not be left
	recurs  map[uint32]bool // functions that may call themselves in the end
	bulk    map[uint32]bool // functions that copy or fill memory
	costs   []cost          // of functions that have been rewritten
}

// funcType is a function's signature, one byte per value.
type funcType struct{ params, results string }

type importFunc struct {
	module, name string
	kind         byte
	typ          uint32
}

var magic = []byte("\x00asm\x01\x00\x00\x00")

// parse splits a module into its sections and reads those whose contents do
// not depend on its being a Go program.
func parse(wasm []byte) (*module, error) {
	if err := atMost(ModuleBytes, uint64(len(wasm))); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(wasm, magic) {
		if len(wasm) > 0 && len(wasm) < len(magic) && bytes.HasPrefix(magic, wasm) {
			return nil, refuse(Truncated, "%d bytes", len(wasm))
		}
		return nil, refuse(NotWasm, "it does not begin with \\0asm and version 1")
	}
	m := new(module)
	r := &reader{data: wasm[len(magic):]}
	last, producers := byte(0), []byte(nil)
	for len(r.data) > 0 {
		id := r.byte()
		body := r.bytes(r.u32())
		if err := r.err("the list of sections"); err != nil {
			return nil, err
		}
		switch {
		case id == secCustom:
			c := &reader{data: body}
			switch c.name() {
			case "producers":
				producers = c.data
			case "name":
				m.names = c.data
			}
			if c.bad {
				return nil, c.err("a custom section")
			}
		case id >= secCount || id == secStart:
			return nil, refuse(BadStructure, "section %d", id)
		case id <= last:
			return nil, refuse(BadStructure, "section %d after section %d", id, last)
		default:
			last = id
			m.sections[id] = body
		}
	}
	var err error
	if m.version, err = readProducers(producers); err != nil {
		return nil, err
	}
	for id := secType; id < secCount; id++ {
		if m.sections[id] == nil && id != secStart {
			return nil, refuse(BadStructure, "section %d is missing", id)
		}
	}
	return m, m.read()
}

// readProducers returns the Go version that a producers section names. The
// section is described in the WebAssembly tool conventions.
func readProducers(section []byte) (string, error) {
	if section == nil {
		return "", refuse(NotGo, `there is no section "producers"`)
	}
	version := ""
	r := &reader{data: section}
	for range r.count(2) {
		field := r.name()
		for range r.count(2) {
			value, v := r.name(), r.name()
			if field == "language" && value == "Go" {
				version = v
			}
		}
	}
	if err := r.end(`section "producers"`); err != nil {
		return "", err
	}
	if version == "" {
		return "", refuse(NotGo, `section "producers" does not name Go`)
	}
	return version, nil
}

// read decodes the sections that list functions.
func (m *module) read() error {
	for _, step := range []func() error{m.readTypes, m.readImports, m.readFunctions, m.readBodies} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (m *module) readTypes() error {
	r := &reader{data: m.sections[secType]}
	n := r.count(3)
	if err := atMost(Types, uint64(n)); err != nil {
		return err
	}
	for range n {
		if r.byte() != 0x60 {
			r.fail()
		}
		t := funcType{string(r.types()), string(r.types())}
		if err := atMost(Parameters, uint64(len(t.params))); err != nil {
			return err
		}
		if len(t.results) > 1 {
			return refuse(BadStructure, "a type of functions has %d results", len(t.results))
		}
		m.types = append(m.types, t)
	}
	return r.end("the type section")
}

func (m *module) readImports() error {
	r := &reader{data: m.sections[secImport]}
	n := r.count(4)
	if err := atMost(ImportCount, uint64(n)); err != nil {
		return err
	}
	for range n {
		imp := importFunc{module: r.name(), name: r.name(), kind: r.byte()}
		if imp.kind != 0 {
			return refuse(BadImport, "%.40q %.40q", imp.module, imp.name)
		}
		imp.typ = r.typeIndex(m)
		m.imports = append(m.imports, imp)
	}
	return r.end("the import section")
}

func (m *module) readFunctions() error {
	r := &reader{data: m.sections[secFunction]}
	n := r.count(1)
	if err := atMost(Functions, uint64(n)); err != nil {
		return err
	}
	for range n {
		m.funcs = append(m.funcs, r.typeIndex(m))
	}
	return r.end("the function section")
}

func (m *module) readBodies() error {
	r := &reader{data: m.sections[secCode]}
	if r.count(2) != len(m.funcs) {
		r.fail()
	}
	for n := range m.funcs {
		body := r.bytes(r.u32())
		if err := atMostIn(uint32(n), FunctionBytes, len(body)); err != nil {
			return err
		}
		m.bodies = append(m.bodies, body)
	}
	return r.end("the code section")
}

// types reads a list of types of values.
func (r *reader) types() []byte {
	types := r.bytes(r.u32())
	for _, t := range types {
		if t < f64 || t > i32 {
			r.fail()
		}
	}
	return types
}

// typeIndex reads the number of a type of functions.
func (r *reader) typeIndex(m *module) uint32 {
	n := r.u32()
	if uint64(n) >= uint64(len(m.types)) {
		r.fail()
	}
	return n
}

package program

import (
	"strconv"
	"strings"
)

// Go's numbering of functions: the program counter of function i (imports not
// counted) is (funcOffset+i)<<16, and funcOffset+i is its place in the table.
const funcOffset = 0x1000

const (
	i32 = 0x7f
	i64 = 0x7e
	f32 = 0x7d
	f64 = 0x7c
)

// check verifies, one property after the other, that m is laid out as the Go
// linker lays out a program; see src/cmd/link/internal/wasm/asm.go.
func (m *module) check() error {
	for _, step := range []func() error{
		m.checkVersion, m.checkGlobals, m.checkImports, m.checkTable, m.checkExports,
		m.checkMemory, m.checkWrappers, m.checkLoop, m.validate, m.findCalls,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (m *module) checkVersion() error {
	minor, ok := strings.CutPrefix(m.version, "go1.")
	if !ok {
		return refuse(GoVersion, "%.40q", m.version)
	}
	end := 0
	for end < len(minor) && '0' <= minor[end] && minor[end] <= '9' {
		end++
	}
	if n, err := strconv.Atoi(minor[:end]); err != nil || n < 24 || n > 26 {
		return refuse(GoVersion, "%.40q", m.version)
	}
	return nil
}

func (m *module) checkGlobals() error {
	r := &reader{data: m.sections[secGlobal]}
	if !r.skip(Globals) {
		return refuse(Registers, "their number is not %d", Globals)
	}
	for i := range Globals {
		typ, zero := byte(i64), byte(0x42)
		if i == GlobalSP || i == GlobalPause {
			typ, zero = i32, 0x41
		}
		if !r.skip(typ, 1, zero, 0, 0x0b) {
			return refuse(Registers, "global %d", i)
		}
	}
	return r.end("the global section")
}

func (m *module) checkImports() error {
	if t := m.types; len(t) == 0 || t[0].params != "\x7f" || t[0].results != "\x7f" {
		return refuse(BadStructure, "the first type is not that of Go functions")
	}
	for _, imp := range m.imports {
		if imp.module == "gojs" || imp.module == "go" {
			return refuse(WrongGOOS, "it imports from %q", imp.module)
		}
		if imp.module != "wasi_snapshot_preview1" && imp.module != "dstackless" {
			return refuse(BadImport, "there is no module %.40q here, from which it wants %.40q", imp.module, imp.name)
		}
	}
	return nil
}

// checkTable wants one table in which every function stands at its place, so
// that a program counter in memory means the same function everywhere.
func (m *module) checkTable() error {
	r := &reader{data: m.sections[secTable]}
	if !r.skip(1, 0x70, 0) || r.u32() != funcOffset+uint32(len(m.funcs)) || len(r.data) > 0 {
		return refuse(BadTable, "its size")
	}
	r = &reader{data: m.sections[secElement]}
	if !r.skip(1, 0, 0x41) || r.signed(32) != funcOffset || !r.skip(0x0b) || r.count(1) != len(m.funcs) {
		return refuse(BadTable, "its head")
	}
	for i := range m.funcs {
		if r.u32() != uint32(len(m.imports)+i) {
			return refuse(BadTable, "entry %d", i)
		}
	}
	return r.end("the element section")
}

func (m *module) checkExports() error {
	r := &reader{data: m.sections[secExport]}
	start, memory := false, false
	for range r.count(3) {
		name, kind, index := r.name(), r.byte(), r.u32()
		switch {
		case r.bad:
			return r.err("the export section")
		case name == "_initialize":
			return refuse(Library, "it exports %q", name)
		case name == ExportStart && kind == 0 && !start:
			start = true
			m.start = index
			i := int64(index) - int64(len(m.imports))
			if i < 0 || i >= int64(len(m.funcs)) || m.types[m.funcs[i]] != (funcType{}) {
				return refuse(Exports, "%q is not a start function", name)
			}
		case name == ExportMemory && kind == 2 && index == 0 && !memory:
			memory = true
		default:
			return refuse(Exports, "%.40q", name)
		}
	}
	if err := r.end("the export section"); err != nil {
		return err
	}
	if !start || !memory {
		return refuse(Exports, "it does not export both %q and %q", ExportStart, ExportMemory)
	}
	return nil
}

func (m *module) checkMemory() error {
	r := &reader{data: m.sections[secMemory]}
	if !r.skip(1, 0) {
		return refuse(BadStructure, "the memory is not a Go program's")
	}
	if m.pages = r.u32(); m.pages > 1<<16 {
		return refuse(BadStructure, "the memory has %d pages", m.pages)
	}
	return r.end("the memory section")
}

package program

import (
	"encoding/binary"
	"slices"
)

// rewrite returns the module with the import, the exports, the pauses and the
// turns added, and without its data.
func (m *module) rewrite() ([]byte, error) {
	out := slices.Clone(magic)
	for id := secType; id < secCount; id++ {
		body := m.sections[id]
		switch id {
		case secStart, secData:
			continue
		case secType:
			body = m.typeSection()
		case secImport:
			body = m.importSection()
		case secTable:
			body = binary.AppendUvarint([]byte{1, 0x70, 0}, uint64(len(m.funcs)))
		case secGlobal:
			body = m.globalSection()
		case secExport:
			body = m.exportSection()
		case secElement:
			body = m.elementSection()
		case secCode:
			var err error
			if body, err = m.codeSection(); err != nil {
				return nil, err
			}
		}
		out = appendSection(out, byte(id), body)
	}
	if names := m.nameSection(); names != nil {
		out = appendSection(out, secCustom, names)
	}
	return out, nil
}

// The rewritten module has one import more than the original, behind the
// others. It takes the number of the module's first own function, so that all
// of these move up by one. Program counters do not: they do not count imports.

// moved returns the new number of function i.
func (m *module) moved(i uint32) uint32 {
	if i >= uint32(len(m.imports)) {
		i++
	}
	return i
}

// yield returns the number of the added import.
func (m *module) yield() uint32 { return uint32(len(m.imports)) }

// typeSection adds the type of yield, func(i32) i32.
func (m *module) typeSection() []byte {
	return m.add(secType, 1, func(out []byte) []byte { return append(out, 0x60, 1, i32, 1, i32) })
}

func (m *module) importSection() []byte {
	return m.add(secImport, 1, func(out []byte) []byte {
		out = appendName(out, YieldModule)
		out = appendName(out, YieldName)
		return binary.AppendUvarint(append(out, 0), uint64(len(m.types)))
	})
}

// globalSection adds the counter of turns.
func (m *module) globalSection() []byte {
	return m.add(secGlobal, 1, func(out []byte) []byte {
		out = append(out, i32, 1, 0x41)
		return append(appendSigned(out, TurnsPerYield), 0x0b)
	})
}

// exportSection adds the loop and the globals.
func (m *module) exportSection() []byte {
	out := binary.AppendUvarint(nil, uint64(2+1+Globals+1))
	export := func(name string, kind byte, index uint32) {
		out = append(appendName(out, name), kind)
		out = binary.AppendUvarint(out, uint64(index))
	}
	export(ExportStart, 0, m.moved(m.start))
	export(ExportMemory, 2, 0)
	export(ExportLoop, 0, m.moved(uint32(len(m.imports))+m.loop))
	for i := range Globals + 1 {
		export(ExportGlobal(i), 3, uint32(i))
	}
	return out
}

// elementSection moves the table's entries to its beginning, because each
// instance has a table of its own, and the Go linker leaves 32 KiB of it empty.
// Where the table is used, funcOffset is subtracted.
func (m *module) elementSection() []byte {
	out := binary.AppendUvarint([]byte{1, 0, 0x41, 0, 0x0b}, uint64(len(m.funcs)))
	for i := range m.funcs {
		out = binary.AppendUvarint(out, uint64(m.moved(uint32(len(m.imports)+i))))
	}
	return out
}

func (m *module) codeSection() ([]byte, error) {
	out := make([]byte, 0, len(m.sections[secCode])*5/4)
	out = binary.AppendUvarint(out, uint64(len(m.bodies)))
	var body []byte
	for i := range m.bodies {
		var err error
		if body, err = m.rewriteBody(body[:0], uint32(i)); err != nil {
			return nil, err
		}
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	return out, nil
}

// nameSection returns the names of functions, for the traces of faults, or nil
// if there are none to be had.
func (m *module) nameSection() []byte {
	r := &reader{data: m.names}
	if !r.skip(1) { // subsection of function names
		return nil
	}
	r = &reader{data: r.bytes(r.u32())}
	n := r.count(2)
	if n > len(m.imports)+len(m.funcs) {
		return nil
	}
	names := binary.AppendUvarint(nil, uint64(n))
	for range n {
		names = binary.AppendUvarint(names, uint64(m.moved(r.u32())))
		names = appendName(names, r.name())
	}
	if r.end("names") != nil {
		return nil
	}
	return appendSection(appendName(nil, "name"), 1, names)
}

// add returns a section that is a list with n elements more.
func (m *module) add(id, n int, f func([]byte) []byte) []byte {
	r := &reader{data: m.sections[id]}
	out := binary.AppendUvarint(nil, uint64(r.u32())+uint64(n))
	return f(append(out, r.data...))
}

func appendSection(out []byte, id byte, body []byte) []byte {
	out = binary.AppendUvarint(append(out, id), uint64(len(body)))
	return append(out, body...)
}

func appendName(out []byte, name string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(name))), name...)
}

// appendSigned appends a signed LEB128 number.
func appendSigned(out []byte, v int64) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

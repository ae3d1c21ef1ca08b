package program

import (
	"encoding/binary"
	"slices"
)

// rewrite returns the module with the exports and the pauses added, and without
// its data.
func (m *module) rewrite() ([]byte, error) {
	out := slices.Clone(magic)
	for id := secType; id < secCount; id++ {
		body := m.sections[id]
		switch id {
		case secStart, secData:
			continue
		case secExport:
			body = m.exports()
		case secCode:
			body = m.code()
		}
		out = appendSection(out, byte(id), body)
	}
	if m.names != nil {
		out = appendSection(out, secCustom, append([]byte("\x04name"), m.names...))
	}
	return out, nil
}

func appendSection(out []byte, id byte, body []byte) []byte {
	out = append(out, id)
	out = binary.AppendUvarint(out, uint64(len(body)))
	return append(out, body...)
}

// exports returns the export section with the loop and the globals added.
func (m *module) exports() []byte {
	r := &reader{data: m.sections[secExport]}
	out := binary.AppendUvarint(nil, uint64(r.u32())+1+Globals)
	out = append(out, r.data...)
	add := func(name string, kind byte, index uint32) {
		out = binary.AppendUvarint(out, uint64(len(name)))
		out = append(out, name...)
		out = append(out, kind)
		out = binary.AppendUvarint(out, uint64(index))
	}
	add(ExportLoop, 0, uint32(len(m.imports))+m.loop)
	for i := range Globals {
		add(ExportGlobal(i), 3, uint32(i))
	}
	return out
}

// code returns the code section with a pause in every wrapper.
func (m *module) code() []byte {
	out := binary.AppendUvarint(make([]byte, 0, len(m.sections[secCode])+64*len(m.imports)), uint64(len(m.bodies)))
	for i, body := range m.bodies {
		if end, ok := m.pauses[uint32(i)]; ok {
			body = slices.Concat(body[:end], pause(uint32(i)), body[end:])
		}
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	return out
}

// pause returns the instructions behind function i's import call: if PAUSE is
// set, make the program counter on the stack that of the function itself, so
// that it is what runs next, and return 1, which makes all callers return.
func pause(i uint32) []byte {
	code := []byte{
		0x23, GlobalPause, 0x04, 0x40, // if PAUSE
		0x23, GlobalSP, 0x41, 8, 0x6b, // SP-8
		0x42, // i64.const
	}
	code = appendSigned(code, int64(funcOffset+uint64(i))<<16)
	return append(code,
		0x37, 3, 0, // i64.store
		0x41, 1, 0x0f, // return 1
		0x0b)
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

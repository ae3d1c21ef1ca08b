package program

import "encoding/binary"

// WebAssembly instructions that are rewritten or made.
const (
	opLoop      = 0x03
	opIf        = 0x04
	opEnd       = 0x0b
	opReturn    = 0x0f
	opCall      = 0x10
	opGlobalGet = 0x23
	opGlobalSet = 0x24
	opI64Store  = 0x37
	opI32Const  = 0x41
	opI64Const  = 0x42
	opI32Eqz    = 0x45
	opI32Sub    = 0x6b
	noType      = 0x40 // a block without parameters and results
)

// body appends the rewritten body of function i: calls have their new numbers,
// every loop counts its turns, and a wrapper can be left behind its call.
func (m *module) body(out []byte, i int) ([]byte, error) {
	body := m.bodies[i]
	r := &reader{data: body}
	for range r.count(2) {
		r.u32()
		r.byte()
	}
	copied := 0
	upTo := func(end int) {
		out = append(out, body[copied:end]...)
		copied = end
	}
	for len(r.data) > 0 {
		at := len(body) - len(r.data)
		op := r.byte()
		switch op {
		case opCall:
			upTo(at + 1)
			out = binary.AppendUvarint(out, uint64(m.moved(r.u32())))
			copied = len(body) - len(r.data)
			if end, ok := m.pauses[uint32(i)]; ok && end == copied {
				out = appendPause(out, uint32(i))
			}
		case opLoop:
			r.skipOperands(op)
			upTo(len(body) - len(r.data))
			out = m.appendTurn(out)
		default:
			r.skipOperands(op)
		}
		if r.bad {
			return nil, refuse(BadCode, "function %d, offset %d, instruction %#x", i, at, op)
		}
	}
	if r.bad || len(body) == 0 || body[len(body)-1] != opEnd {
		return nil, refuse(BadCode, "function %d", i)
	}
	upTo(len(body))
	return out, nil
}

// appendPause appends what stands behind the import call of wrapper i: if PAUSE
// is set, make the program counter on the stack that of the wrapper itself, so
// that it is what runs next, and return 1, which makes all callers return.
func appendPause(out []byte, i uint32) []byte {
	out = append(out,
		opGlobalGet, GlobalPause, opIf, noType,
		opGlobalGet, GlobalSP, opI32Const, 8, opI32Sub,
		opI64Const)
	out = appendSigned(out, int64(funcOffset+uint64(i))<<16)
	return append(out, opI64Store, 3, 0, opI32Const, 1, opReturn, opEnd)
}

// appendTurn appends what stands at the head of a loop: once in TurnsPerYield
// turns of all the program's loops, let the host in.
func (m *module) appendTurn(out []byte) []byte {
	out = append(out,
		opGlobalGet, GlobalTurns, opI32Const, 1, opI32Sub, opGlobalSet, GlobalTurns,
		opGlobalGet, GlobalTurns, opI32Eqz, opIf, noType,
		opI32Const)
	out = appendSigned(out, TurnsPerYield)
	out = append(out, opGlobalSet, GlobalTurns, opCall)
	out = binary.AppendUvarint(out, uint64(m.yield()))
	return append(out, opEnd)
}

// skipOperands skips what follows the instruction op, or fails if the Go
// compiler does not emit it.
func (r *reader) skipOperands(op byte) {
	switch {
	case op <= 0x01, op == 0x05, op == opEnd, op == opReturn, op == 0x1a, op == 0x1b:
		// unreachable, nop, else, end, return, drop, select
	case op <= opIf: // block, loop, if
		if b := r.byte(); b != noType && (b < f64 || b > i32) {
			r.fail()
		}
	case op == 0x0c || op == 0x0d: // br, br_if
		r.u32()
	case op == 0x0e: // br_table
		for range r.count(1) {
			r.u32()
		}
		r.u32()
	case op == 0x11: // call_indirect
		r.u32()
		r.u32()
	case 0x20 <= op && op <= 0x24: // locals and globals
		r.u32()
	case 0x28 <= op && op <= 0x3e: // loads and stores
		r.u32()
		r.u32()
	case op == 0x3f || op == 0x40: // memory.size, memory.grow
		r.byte()
	case op == opI32Const:
		r.signed(32)
	case op == opI64Const:
		r.signed(64)
	case op == 0x43:
		r.bytes(4)
	case op == 0x44:
		r.bytes(8)
	case 0x45 <= op && op <= 0xc4: // numbers
	case op == 0xfc:
		switch sub := r.u32(); {
		case sub < 8: // saturating conversions
		case sub == 10: // memory.copy
			r.bytes(2)
		case sub == 11: // memory.fill
			r.byte()
		default:
			r.fail()
		}
	default:
		r.fail()
	}
}

package program

import "encoding/binary"

// WebAssembly instructions that are rewritten or made.
const (
	opBlock         = 0x02
	opLoop          = 0x03
	opIf            = 0x04
	opEnd           = 0x0b
	opReturn        = 0x0f
	opCall          = 0x10
	opDrop          = 0x1a
	opLocalGet      = 0x20
	opLocalSet      = 0x21
	opGlobalGet     = 0x23
	opGlobalSet     = 0x24
	opI64Store      = 0x37
	opI32Const      = 0x41
	opI64Const      = 0x42
	opI32Eqz        = 0x45
	opI32Sub        = 0x6b
	opI64Or         = 0x84
	opI64ExtendI32U = 0xad
	noType          = 0x40 // a block without parameters and results
)

// body appends the rewritten body of function i: calls have their new numbers,
// every loop counts its turns, and a wrapper can be left behind its call.
func (m *module) body(out []byte, i int) ([]byte, error) {
	body := m.bodies[i]
	r := &reader{data: body}
	locals, err := r.locals()
	if err != nil {
		return nil, refuse(BadCode, "function %d: its locals", i)
	}
	head := -1 // where the operands of the dispatch loop end
	if m.funcs[i] == 0 && !m.noResume[uint32(i)] {
		head = dispatch(body, len(body)-len(r.data))
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
			if uint32(i) == m.loop {
				break // it must be a function's loop that counts first
			}
			upTo(len(body) - len(r.data))
			if copied == head {
				out = m.appendTurn(out, 1, func(out []byte) []byte { return appendSpill(out, uint32(i), locals) })
			} else {
				out = m.appendTurn(out, 0, func(out []byte) []byte { return append(out, opDrop) })
			}
		default:
			r.skipOperands(op)
		}
		if r.bad {
			return nil, refuse(BadCode, "function %d, offset %d, instruction %#x", i, at, op)
		}
	}
	upTo(len(body))
	return out, nil
}

// maxLocals is more than the Go compiler's registers.
const maxLocals = 64

// locals reads the declarations of locals and returns their types, with that of
// the parameter of a Go function in front.
func (r *reader) locals() ([]byte, error) {
	types := []byte{i32}
	for range r.count(2) {
		n, t := r.u32(), r.byte()
		if n > maxLocals || len(types) > maxLocals || t < f64 || t > i32 {
			r.fail()
		}
		if r.bad {
			break
		}
		for range n {
			types = append(types, t)
		}
	}
	return types, r.err("locals")
}

// dispatch returns where, in a body whose code begins at start, the head of the
// dispatch loop is, or -1 if the function has none. The compiler wraps a
// function that has jumps in a loop, whose head is where all jumps go to:
//
//	local 1 = SP; block; loop; block...; local.get 0; br_table
//
// There the stack is empty and parameter 0 says what is next, so that the
// function can be left, and entered again, if its locals are kept.
func dispatch(body []byte, start int) int {
	r := &reader{data: body[start:]}
	if !r.skip(opGlobalGet, GlobalSP, 0x21, 1) {
		return -1
	}
	r.skip(opBlock, noType)
	if !r.skip(opLoop, noType) {
		return -1
	}
	head := len(body) - len(r.data)
	if !r.skip(opBlock, noType) {
		return -1
	}
	for r.skip(opBlock, noType) {
	}
	if !r.skip(0x20, 0, 0x0e) {
		return -1
	}
	return head
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
// turns of all the program's loops, let the host in. What then comes finds on
// the stack what the host returned.
func (m *module) appendTurn(out []byte, leave byte, then func([]byte) []byte) []byte {
	out = append(out,
		opGlobalGet, GlobalTurns, opI32Const, 1, opI32Sub, opGlobalSet, GlobalTurns,
		opGlobalGet, GlobalTurns, opI32Eqz, opIf, noType,
		opI32Const)
	out = appendSigned(out, TurnsPerYield)
	out = append(out, opGlobalSet, GlobalTurns, opI32Const, leave, opCall)
	out = binary.AppendUvarint(out, uint64(m.yield()))
	return append(then(out), opEnd)
}

// spillBase is where a function that is left in its dispatch loop keeps its
// locals, in a part of memory that Go programs do not use.
const spillBase = 64

// Loads and stores by type of local, with their alignments.
var spills = map[byte]struct{ load, store, align byte }{
	i32: {0x28, 0x36, 2}, i64: {0x29, 0x37, 3}, f32: {0x2a, 0x38, 2}, f64: {0x2b, 0x39, 3},
}

// appendSpill appends what makes function i one that can be left at the head of
// its dispatch loop. If the host returned 1, the function was just entered to go
// on where it was left, and takes its locals back. If PAUSE is set it is to
// leave: it keeps its locals, makes the program counter on the stack its own, and
// returns 1. Locals 0 and 1 need not be kept: they are part of the program
// counter, and the stack pointer.
func appendSpill(out []byte, i uint32, locals []byte) []byte {
	offset := func(k int) uint64 { return uint64(spillBase + 8*k) }
	out = append(out, opIf, noType)
	for k := 2; k < len(locals); k++ {
		s := spills[locals[k]]
		out = binary.AppendUvarint(append(out, opI32Const, 0, s.load, s.align), offset(k))
		out = append(out, opLocalSet, byte(k))
	}
	out = append(out, opEnd, opGlobalGet, GlobalPause, opIf, noType)
	for k := 2; k < len(locals); k++ {
		s := spills[locals[k]]
		out = append(out, opI32Const, 0, opLocalGet, byte(k), s.store, s.align)
		out = binary.AppendUvarint(out, offset(k))
	}
	out = append(out,
		opGlobalGet, GlobalSP, opI32Const, 8, opI32Sub,
		opLocalGet, 0, opI64ExtendI32U, opI64Const)
	out = appendSigned(out, int64(funcOffset+uint64(i))<<16)
	return append(out, opI64Or, opI64Store, 3, 0, opI32Const, 1, opReturn, opEnd)
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

package program

// WebAssembly instructions that are rewritten or made.
const (
	opBlock         = 0x02
	opLoop          = 0x03
	opIf            = 0x04
	opElse          = 0x05
	opEnd           = 0x0b
	opBr            = 0x0c
	opBrIf          = 0x0d
	opBrTable       = 0x0e
	opReturn        = 0x0f
	opCall          = 0x10
	opCallIndirect  = 0x11
	opDrop          = 0x1a
	opSelect        = 0x1b
	opLocalGet      = 0x20
	opLocalSet      = 0x21
	opLocalTee      = 0x22
	opGlobalGet     = 0x23
	opGlobalSet     = 0x24
	opI32Load       = 0x28
	opI32Store      = 0x36
	opI64Store      = 0x37
	opI32Const      = 0x41
	opI64Const      = 0x42
	opI32Eqz        = 0x45
	opI32LtS        = 0x48
	opI32GtU        = 0x4b
	opI32LeU        = 0x4d
	opI32Add        = 0x6a
	opI32Sub        = 0x6b
	opI32Or         = 0x72
	opI32ShrU       = 0x76
	opI64Or         = 0x84
	opI32WrapI64    = 0xa7
	opI64ExtendI32U = 0xad
	opMore          = 0xfc // the first byte of two
	noType          = 0x40 // a block without parameters and results
)

// skipOperands skips what follows the instruction op, or fails if the Go
// compiler does not emit it.
func (r *reader) skipOperands(op byte) {
	switch {
	case op <= 0x01, op == 0x05, op == opEnd, op == opReturn, op == opDrop, op == opSelect:
		// unreachable, nop, else, end, return, drop, select
	case op <= opIf: // block, loop, if
		if b := r.byte(); b != noType && (b < f64 || b > i32) {
			r.fail()
		}
	case op == opBr || op == opBrIf: // br, br_if
		r.u32()
	case op == opBrTable: // br_table
		for range r.count(1) {
			r.u32()
		}
		r.u32()
	case op == opCallIndirect: // call_indirect
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
	case op == opMore:
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

// locals reads the declarations of function n's locals and returns their types,
// with that of the parameter of a Go function in front.
func (r *reader) locals(n uint32) ([]byte, error) {
	types := []byte{i32}
	for range r.count(2) {
		count, t := r.u32(), r.byte()
		if t < f64 || t > i32 {
			r.fail()
		}
		if r.bad {
			break
		}
		if err := atMostIn(n, Locals, len(types)-1+int(count)); err != nil {
			return nil, err
		}
		for range count {
			types = append(types, t)
		}
	}
	if r.bad {
		return nil, refuse(BadCode, "function %d: its locals", n)
	}
	return types, nil
}

// isBulk reports whether the instruction at an offset is memory.copy or
// memory.fill.
func isBulk(body []byte, at int) bool {
	r := &reader{data: body[at:]}
	return r.skip(opMore, 10) || r.skip(opMore, 11)
}

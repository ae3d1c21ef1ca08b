package program

// findNoResume finds the functions that are called in a way that does not let
// them be left: the compiler's CALLNORESUME, behind which it puts
//
//	if; unreachable; end
//
// In a running program that is what flushes the buffer of the garbage
// collector's write barrier, in the middle of an ordinary function. What such a
// function calls in turn runs on the scheduler's goroutine, where programs are
// not left either.
func (m *module) findNoResume() error {
	m.noResume = map[uint32]bool{}
	for i, body := range m.bodies {
		r := &reader{data: body}
		if _, err := r.locals(); err != nil {
			return refuse(BadCode, "function %d: its locals", i)
		}
		for len(r.data) > 0 {
			at := len(body) - len(r.data)
			op := r.byte()
			if op == opCall {
				callee := int64(r.u32()) - int64(len(m.imports))
				after := reader{data: r.data}
				if callee >= 0 && after.skip(opIf, noType, 0x00, opEnd) {
					m.noResume[uint32(callee)] = true
				}
			} else {
				r.skipOperands(op)
			}
			if r.bad {
				return refuse(BadCode, "function %d, offset %d, instruction %#x", i, at, op)
			}
		}
		if len(body) == 0 || body[len(body)-1] != opEnd {
			return refuse(BadCode, "function %d", i)
		}
	}
	return nil
}

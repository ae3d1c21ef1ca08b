package program

// findCalls looks at who calls whom, and notes three kinds of functions.
//
// Those in noLeave must not be left in the midst of computing, because they are
// called in a way that does not let them: the compiler's CALLNORESUME, behind
// which it puts
//
//	if; unreachable; end
//
// In a running program that is what flushes the buffer of the garbage
// collector's write barrier, in the middle of an ordinary function. Its caller
// is no Go function and cannot be left either, so that the same goes for all
// that it calls in turn. Where that is not known, in calls of function values,
// it runs on the scheduler's goroutine, where programs are not left.
//
// Those in recurs can be part of a recursion. All functions have a number, and
// whoever goes round in a circle must somewhere call a function with a number
// that is not smaller, or one that is not known.
//
// Those in bulk copy or fill memory in one instruction.
func (m *module) findCalls() error {
	m.noLeave, m.recurs, m.bulk = map[uint32]bool{}, map[uint32]bool{}, map[uint32]bool{}
	var flush []uint32 // what is to be looked at
	listed := map[uint32]bool{}
	for i := range m.bodies {
		err := m.eachCall(uint32(i), func(callee int64, noResume bool) {
			if callee >= int64(i) {
				m.recurs[uint32(i)] = true
			}
			if callee < 0 || !noResume {
				return
			}
			m.noLeave[uint32(callee)] = true
			if m.funcs[i] != 0 && !listed[uint32(callee)] {
				listed[uint32(callee)] = true
				flush = append(flush, uint32(callee))
			}
		})
		if err != nil {
			return err
		}
	}
	for len(flush) > 0 {
		i := flush[0]
		flush = flush[1:]
		err := m.eachCall(i, func(callee int64, noResume bool) {
			if callee < 0 || callee == unknown || noResume || m.noLeave[uint32(callee)] {
				return // an import, or a path that only a dying program takes
			}
			m.noLeave[uint32(callee)] = true
			flush = append(flush, uint32(callee))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unknown is the callee of an indirect call: any function.
const unknown = 1 << 32

// eachCall calls f for each call that function i makes, with the number of the
// callee, which is negative for imports.
func (m *module) eachCall(i uint32, f func(callee int64, noResume bool)) error {
	body := m.bodies[i]
	r := &reader{data: body}
	if _, err := r.locals(i); err != nil {
		return err
	}
	for len(r.data) > 0 {
		at := len(body) - len(r.data)
		op := r.byte()
		switch op {
		case opCall:
			callee := int64(r.u32()) - int64(len(m.imports))
			after := reader{data: r.data}
			f(callee, after.skip(opIf, noType, 0x00, opEnd))
		case opCallIndirect:
			r.skipOperands(op)
			f(unknown, false)
		default:
			if isBulk(body, at) {
				m.bulk[i] = true
			}
			r.skipOperands(op)
		}
		if r.bad {
			return refuse(BadCode, "function %d, offset %d, instruction %#x", i, at, op)
		}
	}
	if len(body) == 0 || body[len(body)-1] != opEnd {
		return refuse(BadCode, "function %d", i)
	}
	return nil
}

package program

import "encoding/binary"

// A rewriting is the rewriting of one function's body.
type rewriting struct {
	m      *module
	i      uint32
	body   []byte
	locals []byte // their types
	leaves bool   // the function can be left and entered again
	out    []byte
	copied int    // how much of body is in out
	bulk   uint32 // local for the size of what is copied, if there is such a thing

	d      *dispatch // nil if it has none
	open   []opened  // blocks, where it is read
	loop   int       // how many of them the dispatch loop makes, itself included; 0 outside of it
	closed []int     // of each block of the dispatch loop that has ended, how many calls were before
	calls  int       // how many calls there were
	jump   jump
	way    way  // to where it is read
	cost   cost // of the function, as far as it is read
}

// rewriteBody appends the rewritten body of function i: calls have their new
// numbers, what could go on for ever counts its turns, and a wrapper can be left
// behind its call.
func (m *module) rewriteBody(out []byte, i uint32) ([]byte, error) {
	w := &rewriting{m: m, i: i, body: m.bodies[i], out: out, leaves: m.funcs[i] == 0 && !m.noLeave[i], cost: cost{through: -1}}
	r := &reader{data: w.body}
	var err error
	if w.locals, err = r.locals(i); err != nil {
		return nil, err
	}
	if i != m.loop {
		start := w.at(r)
		w.d = findDispatch(w.body, start)
		if m.bulk[i] {
			w.addLocal(start)
		}
		if m.recurs[i] {
			w.upTo(start)
			w.countEntry()
			w.counted()
		}
	}
	for len(r.data) > 0 {
		at := w.at(r)
		op := r.byte()
		w.instruction(r, at, op)
		if r.bad {
			return nil, refuse(BadCode, "function %d, offset %d, instruction %#x", i, at, op)
		}
	}
	m.costs = append(m.costs, w.cost)
	w.upTo(len(w.body))
	return w.out, nil
}

// instruction reads an instruction, and writes what is to stand in its place and
// before it.
func (w *rewriting) instruction(r *reader, at int, op byte) {
	if op != opElse && op != opEnd {
		w.weigh(at, weight(op))
	}
	switch op {
	case opBlock, opLoop, opIf, opElse, opEnd:
		w.block(r, at, op)
	case opBr, opBrIf, opBrTable:
		w.jumps(at, op)
	case opReturn:
		w.leavesFunction()
		w.way = noWay
	case 0x00: // unreachable
		w.way = noWay
	case opCall:
		w.calls++
		w.call(r, at)
	case opCallIndirect:
		w.calls++
		w.upTo(at)
		w.emitConst(funcOffset)
		w.emit(opI32Sub)
	case opLocalGet:
		w.prologue(r, at)
	case opMore:
		if isBulk(w.body, at) {
			w.weigh(at, weightBulk)
			w.upTo(at)
			w.countBytes()
		}
	}
	if w.at(r) == at+1 {
		r.skipOperands(op)
	}
	w.jump.see(w.body, at, op)
}

// at returns where in the body r reads next.
func (w *rewriting) at(r *reader) int { return len(w.body) - len(r.data) }

// upTo copies the body up to an offset.
func (w *rewriting) upTo(end int) {
	w.out = append(w.out, w.body[w.copied:end]...)
	w.copied = end
}

// call renumbers a call.
func (w *rewriting) call(r *reader, at int) {
	callee := r.u32()
	c := w.called(int64(callee) - int64(len(w.m.imports)))
	w.beforeCall(at, c)
	w.upTo(at + 1)
	w.out = binary.AppendUvarint(w.out, uint64(w.m.moved(callee)))
	w.copied = w.at(r)
	w.afterCall(w.copied, c)
	if end, ok := w.m.pauses[w.i]; ok && end == w.copied {
		w.pause()
	}
}

// pause appends what stands behind the import call of a wrapper: if PAUSE is
// set, make the program counter on the stack that of the wrapper itself, so
// that it is what runs next, and return 1, which makes all callers return.
func (w *rewriting) pause() {
	w.emit(opGlobalGet, GlobalPause, opIf, noType)
	w.leave(nil)
	w.emit(opEnd)
}

// leave appends what makes the function return 1, to be entered again with what
// next puts on the stack as its parameter.
func (w *rewriting) leave(next func()) {
	w.emit(opGlobalGet, GlobalSP, opI32Const, 8, opI32Sub)
	if next != nil {
		next()
		w.emit(opI64ExtendI32U)
	}
	w.out = appendSigned(append(w.out, opI64Const), int64(funcOffset+uint64(w.i))<<16)
	if next != nil {
		w.emit(opI64Or)
	}
	w.emit(opI64Store, 3, 0, opI32Const, 1, opReturn)
}

func (w *rewriting) emit(code ...byte) { w.out = append(w.out, code...) }

func (w *rewriting) emitU32(v uint32) { w.out = binary.AppendUvarint(w.out, uint64(v)) }

func (w *rewriting) emitConst(v int64) { w.out = appendSigned(append(w.out, opI32Const), v) }

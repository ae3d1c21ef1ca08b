package program

// turn appends what counts one turn, and does then once in TurnsPerYield turns
// of all that counts in the program.
func (w *rewriting) turn(then func()) {
	w.emit(
		opGlobalGet, GlobalTurns, opI32Const, 1, opI32Sub, opGlobalSet, GlobalTurns,
		opGlobalGet, GlobalTurns, opI32Eqz, opIf, noType)
	then()
	w.emit(opEnd)
}

// yield appends the call that lets the host in. It leaves the answer on the
// stack.
func (w *rewriting) yield(at byte) {
	w.emitConst(TurnsPerYield)
	w.emit(opGlobalSet, GlobalTurns, opI32Const, at, opCall)
	w.emitU32(w.m.yield())
}

// countEntry appends what counts the entries of the function. Nothing of it
// but its parameter, and what it was called with, is anywhere but in memory, so
// that it can be left here.
func (w *rewriting) countEntry() {
	if !w.leaves {
		w.countOnly()
		return
	}
	w.turn(func() {
		w.yield(YieldEntry)
		w.emit(opDrop, opGlobalGet, GlobalPause, opIf, noType)
		w.leave(func() { w.emit(opLocalGet, 0) })
		w.emit(opEnd)
	})
}

// countLoop appends what counts the turns of wasm_pc_f_loop, which calls functions
// that may all return at once. The program can be left here: nothing is called,
// and what is to be called next is in memory.
func (w *rewriting) countLoop() {
	w.turn(func() {
		w.yield(YieldEntry)
		w.emit(opDrop, opGlobalGet, GlobalPause, opBrIf, 2) // behind the loop
	})
}

// countOnly appends what counts a turn where the program cannot be left.
func (w *rewriting) countOnly() {
	w.turn(func() { w.yield(YieldOnly); w.emit(opDrop) })
}

// countTurns counts at the instruction op if it makes a turn: a jump back, in a
// dispatch loop, and the head of any other loop.
func (w *rewriting) countTurns(r *reader, at int, op byte) {
	switch op {
	case opBlock, opIf:
		w.depth++
	case opLoop:
		w.depth++
		if w.d != nil && at == w.d.loop {
			w.startDispatch()
			r.data = w.body[w.d.end:]
			w.loop = w.depth
			w.depth += w.d.blocks
			return
		}
		r.skipOperands(op)
		switch {
		case w.i == w.m.loop:
			w.upTo(w.at(r))
			w.countLoop()
		case !w.m.trusted: // these are the loops of assembly, and call nothing
			w.upTo(w.at(r))
			w.countOnly()
		}
	case opCall, opCallIndirect:
		w.calls++
	case opEnd:
		if w.loop > 0 && len(w.closed) < w.d.blocks && w.depth == w.loop+w.d.blocks-len(w.closed) {
			w.closed = append(w.closed, w.calls)
		}
		if w.depth == w.loop {
			w.loop = 0
		}
		w.depth--
	case opBr:
		if w.loop > 0 && w.toHead(at, op) && !w.ahead(at) && !(w.m.trusted && w.callsNothing(at)) {
			// The jump goes to the case that lets the host in, and from
			// there to where it was to go.
			w.upTo(at)
			w.turn(func() {
				w.emit(opI32Const, 0, opLocalGet, 0, opI32Store, 2, NextAddr)
				w.emitConst(AskHost)
				w.emit(opLocalSet, 0)
			})
		}
	case opBrIf, opBrTable:
		if w.loop > 0 && w.toHead(at, op) { // the compiler does not do this
			w.upTo(at)
			w.countOnly()
		}
	}
	if w.bulk > 0 && isBulk(w.body, at) {
		w.upTo(at)
		w.countBytes()
	}
	w.jump.see(w.body, at, op)
}

// countBytes appends what counts the bytes that the instruction which follows
// copies or fills, as many turns as they take; the next turn lets the host in.
// Their number is on the stack.
func (w *rewriting) countBytes() {
	const perTurn = 8 // bytes, as a power of two
	w.emit(opLocalTee)
	w.emitU32(w.bulk)
	w.emit(opGlobalGet, GlobalTurns, opLocalGet)
	w.emitU32(w.bulk)
	w.emit(opI32Const, perTurn, opI32ShrU, opI32Sub, opGlobalSet, GlobalTurns,
		opI32Const, 1, opGlobalGet, GlobalTurns,
		opGlobalGet, GlobalTurns, opI32Const, 1, opI32LtS, opSelect, opGlobalSet, GlobalTurns)
}

// addLocal appends the declarations of locals with one more, an i32.
func (w *rewriting) addLocal(start int) {
	r := &reader{data: w.body[:start]}
	w.emitU32(r.u32() + 1)
	w.out = append(w.out, r.data...)
	w.emit(1, i32)
	w.copied = start
	w.bulk = uint32(len(w.m.types[w.m.funcs[w.i]].params) + len(w.locals) - 1)
}

// toHead reports whether the branch at an offset may lead to the head of the
// dispatch loop.
func (w *rewriting) toHead(at int, op byte) bool {
	r := &reader{data: w.body[at+1:]}
	n := 0
	if op == opBrTable {
		n = r.count(1)
	}
	for range n + 1 {
		if label := r.u32(); !r.bad && int64(w.depth)-int64(label) == int64(w.loop) {
			return true
		}
	}
	return false
}

// ahead reports whether the jump at an offset certainly leads to code that
// stands behind it. Whoever goes round in a circle must jump back somewhere.
func (w *rewriting) ahead(at int) bool {
	return w.jump.set && w.jump.behind == at && w.d.block(w.jump.next) >= len(w.closed)
}

// callsNothing reports whether there is certainly no call between where the jump
// at an offset leads and the jump. Each part of a loop lies between a jump back
// and where that leads, so that of a loop with a call some jump counts.
func (w *rewriting) callsNothing(at int) bool {
	return w.jump.set && w.jump.behind == at && w.closed[w.d.block(w.jump.next)] == w.calls
}

package program

// turn appends what counts one turn, and more for the way to it, and does then
// once in TurnsPerYield turns of all that counts in the program.
func (w *rewriting) turn(then func()) {
	w.turns(1+max(0, w.way.since)/perTurn, then)
}

// turns is turn for so many.
func (w *rewriting) turns(n int, then func()) {
	w.emit(opGlobalGet, GlobalTurns)
	w.emitConst(int64(n))
	w.emit(opI32Sub, opGlobalSet, GlobalTurns)
	w.emit(opGlobalGet, GlobalTurns)
	if n > 1 {
		w.emit(opI32Const, 1, opI32LtS)
	} else {
		w.emit(opI32Eqz) // it is never less: whoever makes it so sets it again at once
	}
	w.emit(opIf, noType)
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

// bytesPerTurn is for how many bytes of its code the entry of a function counts
// a turn: the more it has, the more of the host's memory an entry may take, which
// holds what the machine code has on its own stack.
const bytesPerTurn = 128

// countEntry appends what counts the entries of the function. Nothing of it
// but its parameter, and what it was called with, is anywhere but in memory, so
// that it can be left here.
func (w *rewriting) countEntry() {
	w.turns(1+len(w.body)/bytesPerTurn, func() {
		if !w.leaves {
			w.yield(YieldOnly)
			w.emit(opDrop)
			return
		}
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

// block opens or closes a block. It counts at the head of wasm_pc_f_loop.
func (w *rewriting) block(r *reader, at int, op byte) {
	switch op {
	case opBlock, opLoop, opIf:
		w.open = append(w.open, opened{op: op, end: noWay, other: noWay})
		switch {
		case op == opIf:
			w.open[len(w.open)-1].other = w.way
		case op == opLoop && w.d != nil && at == w.d.loop:
			w.startDispatch()
			r.data = w.body[w.d.end:]
			w.loop = len(w.open)
			for range w.d.blocks {
				w.open = append(w.open, opened{op: opBlock, end: w.way, other: noWay})
			}
			w.way = noWay
		case op == opLoop && w.i == w.m.loop:
			r.skipOperands(op)
			w.upTo(w.at(r))
			w.countLoop()
			w.counted()
		}
	case opElse:
		b := &w.open[len(w.open)-1]
		b.end, w.way, b.other = b.end.or(w.way), b.other, noWay
	case opEnd:
		if len(w.open) == 0 {
			w.leavesFunction()
			return
		}
		if w.loop > 0 && len(w.closed) < w.d.blocks && len(w.open) == w.loop+w.d.blocks-len(w.closed) {
			w.closed = append(w.closed, w.calls)
		}
		if len(w.open) == w.loop {
			w.loop = 0
		}
		b := w.open[len(w.open)-1]
		w.open, w.way = w.open[:len(w.open)-1], w.way.or(b.end).or(b.other)
	}
}

// jumps counts at the branch op if it makes a turn, that is, if it may lead back.
func (w *rewriting) jumps(at int, op byte) {
	labels := w.labels(at, op)
	if w.leadsBack(at, op, labels) {
		w.upTo(at)
		if op == opBr && w.loop > 0 && w.opens(labels[0]) == w.loop {
			// The jump goes to the case that lets the host in, and from
			// there to where it was to go.
			w.turn(func() {
				w.emit(opI32Const, 0, opLocalGet, 0, opI32Store, 2, NextAddr)
				w.emitConst(AskHost)
				w.emit(opLocalSet, 0)
			})
		} else {
			w.countOnly()
		}
		w.counted()
	}
	for _, l := range labels {
		if w.loop > 0 && w.opens(l) == w.loop && w.ahead(at) {
			b := &w.open[w.loop+w.d.blocks-1-w.d.block(w.jump.next)]
			b.end = b.end.or(w.way)
			continue
		}
		w.branch(l)
	}
	if op != opBrIf {
		w.way = noWay
	}
}

// labels returns the labels that the branch at an offset names.
func (w *rewriting) labels(at int, op byte) []uint32 {
	r := &reader{data: w.body[at+1:]}
	n := 0
	if op == opBrTable {
		n = r.count(1)
	}
	labels := make([]uint32, 0, n+1)
	for range n + 1 {
		labels = append(labels, r.u32())
	}
	return labels
}

// opens returns how many blocks are open where the one with a label begins, itself
// included.
func (w *rewriting) opens(label uint32) int { return len(w.open) - int(label) }

// leadsBack reports whether the branch at an offset may lead back. In a program
// whose loops are trusted those do not count that call nothing.
func (w *rewriting) leadsBack(at int, op byte, labels []uint32) bool {
	for _, l := range labels {
		n := w.opens(l)
		switch {
		case w.loop > 0 && n == w.loop:
			if op != opBr || !w.ahead(at) && !(w.m.trusted && w.callsNothing(at)) {
				return true
			}
		case n > 0 && w.open[n-1].op == opLoop:
			if !w.m.trusted && w.i != w.m.loop { // these are the loops of assembly, and call nothing
				return true
			}
		}
	}
	return false
}

// countBytes appends what counts the bytes that the instruction which follows
// copies or fills, as many turns as they take; the next turn lets the host in, where
// the program can be left more often than here. Their number is on the stack.
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

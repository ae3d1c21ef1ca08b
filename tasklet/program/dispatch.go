package program

// A dispatch is a function's dispatch loop. The compiler wraps a function that
// has jumps in a loop, to whose head all of them go, with what is next in
// parameter 0:
//
//	local 1 = SP; block; loop; block...; local.get 0; br_table
//
// There the stack is empty, so that the function can be left, and entered again,
// if its locals are kept.
type dispatch struct {
	loop   int      // where the loop begins
	blocks int      // how many follow at once
	table  int      // where the local.get is
	labels []uint32 // of the br_table, the default as the last
	end    int      // behind it
}

// findDispatch returns the dispatch loop of a body whose code begins at start,
// or nil if it has none.
func findDispatch(body []byte, start int) *dispatch {
	r := &reader{data: body[start:]}
	at := func() int { return len(body) - len(r.data) }
	if !r.skip(opGlobalGet, GlobalSP, opLocalSet, 1) {
		return nil
	}
	r.skip(opBlock, noType)
	d := &dispatch{loop: at()}
	if !r.skip(opLoop, noType) {
		return nil
	}
	for r.skip(opBlock, noType) {
		d.blocks++
	}
	d.table = at()
	if !r.skip(opLocalGet, 0, opBrTable) {
		return nil
	}
	for range r.count(1) {
		d.labels = append(d.labels, r.u32())
	}
	d.labels = append(d.labels, r.u32())
	for _, l := range d.labels {
		if l >= uint32(d.blocks) {
			return nil // it would lead out of the loop, or to its head
		}
	}
	if d.end = at(); r.bad || len(d.labels) > AskHost {
		return nil
	}
	return d
}

// block returns the number of the block behind whose end the code for v of
// parameter 0 begins.
func (d *dispatch) block(v int64) int {
	return int(d.labels[min(uint64(uint32(v)), uint64(len(d.labels)-1))])
}

// startDispatch appends the head of the dispatch loop with one case more, which
// is what the host is asked in. Elsewhere the code is as it was, so that the
// case costs nothing but where it is wanted.
func (w *rewriting) startDispatch() {
	d := w.d
	w.upTo(d.table)
	w.emit(opBlock, noType, opLocalGet, 0, opBrTable)
	w.emitU32(uint32(len(d.labels)))
	for _, l := range d.labels {
		w.emitU32(l + 1)
	}
	w.emit(0, opEnd)
	if w.leaves {
		w.yield(YieldLoop)
		w.emit(opIf, noType)
		w.eachSpilled(func(k int, s spill) {
			w.emit(opI32Const, 0, s.load, s.align)
			w.emitU32(spillOf(k))
			w.emit(opLocalSet, byte(k))
		})
		w.emit(opEnd, opGlobalGet, GlobalPause, opIf, noType)
		w.eachSpilled(func(k int, s spill) {
			w.emit(opI32Const, 0, opLocalGet, byte(k), s.store, s.align)
			w.emitU32(spillOf(k))
		})
		w.leave(w.loadNext)
		w.emit(opEnd)
	} else {
		w.yield(YieldOnly)
		w.emit(opDrop)
	}
	w.loadNext()
	w.emit(opLocalSet, 0, opBr)
	w.emitU32(uint32(d.blocks))
	w.copied = d.end
}

// loadNext appends what puts on the stack what parameter 0 was before it became
// AskHost.
func (w *rewriting) loadNext() {
	w.emit(opI32Const, 0, opI32Load, 2, NextAddr)
}

// A spill is how a local of a type is kept in memory.
type spill struct{ load, store, align byte }

var spills = map[byte]spill{
	i32: {opI32Load, opI32Store, 2}, i64: {0x29, opI64Store, 3}, f32: {0x2a, 0x38, 2}, f64: {0x2b, 0x39, 3},
}

// eachSpilled calls f for each local that must be kept when the function is
// left. Local 0 is part of the program counter, and 1 the stack pointer.
func (w *rewriting) eachSpilled(f func(k int, s spill)) {
	for k := 2; k < len(w.locals); k++ {
		f(k, spills[w.locals[k]])
	}
}

// spillOf returns the address at which local k is kept, in a part of memory
// that Go programs do not use.
func spillOf(k int) uint32 { return uint32(NextAddr + 8*k) }

// A jump is a jump to the head of the dispatch loop as the compiler writes it:
//
//	i32.const next; local.set 0; br
type jump struct {
	next   int64
	behind int // offset behind the constant, or the local.set
	set    bool
}

// see notes an instruction that may be a part of a jump.
func (j *jump) see(body []byte, at int, op byte) {
	r := &reader{data: body[at+1:]}
	switch {
	case op == opI32Const:
		*j = jump{next: r.signed(32), behind: len(body) - len(r.data)}
	case op == opLocalSet && j.behind == at && !j.set && r.u32() == 0:
		j.behind, j.set = len(body)-len(r.data), true
	default:
		j.set = false
	}
}

package program

// A function with a large frame asks whether there is room for it by
//
//	SP <= stackguard0 + (the frame's size - 128)
//
// in 32 bits. Where the host wants a goroutine to be preempted, stackguard0 is
// almost 2^32, the sum begins again at 0, and the function runs beyond the end
// of its stack. In Go's own runtime a single thread has nobody who preempts, and
// nobody has missed the rest; see "handle wraparound case" in
// cmd/internal/obj/wasm/wasmobj.go.
//
// prologue appends the rest where that question is asked:
//
//	|| stackguard0 > 2^32 - 1 - (the frame's size - 128)
func (w *rewriting) prologue(r *reader, at int) {
	guard := []byte{opGlobalGet, GlobalG, opI32WrapI64, opI32Load, 2, stackguard0}
	p := &reader{data: w.body[at:]}
	if !p.skip(opLocalGet, 1) || !p.skip(guard...) || !p.skip(opI32Const) {
		return
	}
	size := p.signed(32)
	if !p.skip(opI32Add, opI32LeU) || size <= 0 {
		return
	}
	w.upTo(w.at(p))
	w.emit(guard...)
	w.emitConst(-1 - size)
	w.emit(opI32GtU, opI32Or)
	r.data = p.data
}

// stackguard0 is where in a goroutine's g its stack limit is.
const stackguard0 = 16

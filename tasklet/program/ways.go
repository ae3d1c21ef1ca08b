package program

// A program lets its host in once in so many turns, so that what it does in one
// turn must not take long, whatever a module that the Go compiler did not make
// has in its loops and functions. The rewriting therefore follows all ways
// through a function, and weighs the code on the heaviest one since a turn was
// counted last. What counts a turn counts one more for each perTurn of that, and
// where a way would become heavier than maxWay a turn is counted in the midst of
// it. The code of Go programs seldom goes so far without a loop or a call.
const (
	maxWay  = 8192
	perTurn = 256
)

// What instructions weigh: about as many simple ones as they take as long as.
const (
	weightOther  = 1
	weightMemory = 8          // a load or store, which the processor may have to wait for; a division
	weightBulk   = maxWay / 8 // a copy of memory: the turns that it counts are over with the next one
	weightCall   = 256        // what is called is not known, and counts turns itself at the latest when it is called again
)

// weight returns what an instruction weighs.
func weight(op byte) int {
	switch {
	case opI32Load <= op && op <= 0x40, 0x6d <= op && op <= 0x70, 0x7f <= op && op <= 0x82:
		return weightMemory
	case op == opCallIndirect:
		return weightCall
	}
	return weightOther
}

// A way is the weight of the heaviest way to a place in a function, or -1 if there
// is none.
type way struct {
	since int // since the last turn was counted, or the function began
	lead  int // since the function began, if no turn was counted on the way
}

var noWay = way{-1, -1}

func (a way) or(b way) way { return way{max(a.since, b.since), max(a.lead, b.lead)} }

func (a way) plus(n int) way {
	if a.since >= 0 {
		a.since += n
	}
	if a.lead >= 0 {
		a.lead += n
	}
	return a
}

// A cost is what a call of a function adds to a way.
type cost struct {
	in      int // the heaviest way to the first turn that it counts, or through it
	through int // the heaviest way through it without one, or -1
	out     int // the heaviest way to its end
}

// An opened is a block that is open where the rewriting is.
type opened struct {
	op    byte
	end   way // the ways to its end that have been seen
	other way // of an if: the way to its other half
}

// count makes a turn be counted here, unless nobody comes by.
func (w *rewriting) count(at int) {
	if w.way.since < 0 {
		return
	}
	w.upTo(at)
	w.countOnly()
	w.counted()
}

// counted notes that a turn was counted.
func (w *rewriting) counted() {
	w.cost.in = max(w.cost.in, w.way.lead)
	if w.way.since >= 0 {
		w.way = way{0, -1}
	}
}

// leavesFunction notes that the way leads out of the function.
func (w *rewriting) leavesFunction() {
	w.cost.in = max(w.cost.in, w.way.lead)
	w.cost.through = max(w.cost.through, w.way.lead)
	w.cost.out = max(w.cost.out, w.way.since)
}

// weigh adds the weight of an instruction, before which a turn is counted if it
// would be too much.
func (w *rewriting) weigh(at, n int) {
	if w.way.since+n > maxWay {
		w.count(at)
	}
	w.way = w.way.plus(n)
}

// called returns the cost of a call of a function, without imports, or nil if it
// is not known.
func (w *rewriting) called(callee int64) *cost {
	if callee < 0 || callee >= int64(w.i) || w.m.recurs[uint32(callee)] {
		return nil
	}
	return &w.m.costs[callee]
}

// beforeCall weighs what a call does before it counts a turn.
func (w *rewriting) beforeCall(at int, c *cost) {
	if c == nil {
		w.weigh(at, weightCall)
	} else if w.way.since+c.in > maxWay {
		w.count(at)
	}
}

// afterCall weighs the rest of a call. A turn is counted if much has come
// together: more often than not what is called is the exception, and those who
// do not call it do not count.
func (w *rewriting) afterCall(behind int, c *cost) {
	if c == nil || w.way.since < 0 {
		return
	}
	w.way.since = max(w.way.since, w.way.since+c.through, c.out)
	if w.way.lead >= 0 {
		w.cost.in = max(w.cost.in, w.way.lead+c.in)
		if w.way.lead += c.through; c.through < 0 {
			w.way.lead = -1
		}
	}
	if w.way.since > maxWay/2 {
		w.count(behind)
	}
}

// branch notes a branch to a label, that is, to the end of a block.
func (w *rewriting) branch(label uint32) {
	n := len(w.open) - 1 - int(label)
	switch {
	case n < 0:
		w.leavesFunction()
	case w.open[n].op != opLoop:
		w.open[n].end = w.open[n].end.or(w.way)
	}
}

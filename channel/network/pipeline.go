package network

// A pipeline is the sends of this peer on a channel of which many are under way at
// once, in their order: they are received in that order. An operation is of
// the pipeline if it was begun with SendAsync, or while such a one of the same
// endpoint was on its way.
//
// The first of the pipeline is like any other send. Those behind it go no further
// than to the home, and only if all before them are there too; it takes them in
// their order. So nothing overtakes a send that is on its way elsewhere.
type pipeline struct {
	sends      []*operation // from head on
	head       int
	registered int // how many the home knows
	bytes      int // of values that were sent to the home, and not answered

	advancing bool
}

// pipelineWindowBytes is how many bytes of a pipeline are on their way to the home: 1 MiB.
const pipelineWindowBytes = 1 << 20

func (l *pipeline) length() int { return len(l.sends) - l.head }

// first returns the send that is next to be received.
func (l *pipeline) first() *operation {
	if l.length() == 0 {
		return nil
	}
	return l.sends[l.head]
}

func (l *pipeline) push(op *operation) {
	if l.head > 64 && l.head > len(l.sends)/2 {
		l.sends = l.sends[:copy(l.sends, l.sends[l.head:])]
		l.head = 0
	}
	op.ordered = true
	l.sends = append(l.sends, op)
}

// index returns the place of op, counted from the first.
func (l *pipeline) index(op *operation) int {
	if l.sends[l.head] == op {
		return 0
	}
	for i := len(l.sends) - 1; i > l.head; i-- { // the last are withdrawn first
		if l.sends[i] == op {
			return i - l.head
		}
	}
	return -1
}

// remove drops op, which has come to its end.
func (l *pipeline) remove(op *operation) {
	i := l.index(op)
	if i < l.registered {
		l.registered--
	}
	if i == 0 {
		l.sends[l.head] = nil
		l.head++
		return
	}
	i += l.head
	copy(l.sends[i:], l.sends[i+1:])
	l.sends[len(l.sends)-1] = nil
	l.sends = l.sends[:len(l.sends)-1]
}

// isNext reports whether op may be received now, because all before it were.
func (cs *channelState) isNext(op *operation) bool { return !op.ordered || cs.pipeline.first() == op }

// advancePipeline finds receives for the sends whose turn has come, and tells the home
// of those behind.
func (cs *channelState) advancePipeline() {
	if cs.pipeline.advancing {
		return // it is on the stack, and goes on
	}
	cs.pipeline.advancing = true
	defer func() { cs.pipeline.advancing = false }()
	for {
		op := cs.pipeline.first()
		if op == nil {
			return
		}
		if op.in == nil || !cs.matchSend(op) {
			break
		}
	}
	cs.registerPipeline()
}

// registerPipeline tells the home of the sends of the pipeline that it may know.
func (cs *channelState) registerPipeline() {
	l := &cs.pipeline
	for cs.home != nil && l.registered < l.length() {
		op := l.sends[l.head+l.registered]
		if op.in == nil {
			if !op.isAtHome(cs.home) || op.term != cs.claim.term || op.offer.asksOnly {
				return // on its way elsewhere, or there from another time
			}
			l.registered++
			continue
		}
		if l.registered > 0 && (!cs.homeReceivedLast || l.bytes >= pipelineWindowBytes || op.choice != nil) {
			return
		}
		if op.choice == nil && op.encode() == nil && len(op.encoded) > maxInlineBytes && l.registered > 0 {
			return // it is asked for when its turn has come
		}
		l.registered++ // before register, which may end op
		cs.register(op)
	}
}

// unregister notes that the home is to be told of op again.
func (l *pipeline) unregister(op *operation) { l.registered = min(l.registered, l.index(op)) }

package network

// A lane is the sends of this peer on a channel of which many are under way at
// once, in their order: they are received in that order. An operation is of
// the lane if it was begun with SendAsync, or while such a one of the same
// endpoint was on its way.
//
// The first of the lane is like any other send. Those behind it go no further
// than to the home, and only if all before them are there too; it takes them in
// their order. So nothing overtakes a send that is on its way elsewhere.
type lane struct {
	sends []*operation // from head on
	head  int
	known int // how many the home knows
	bytes int // of values that were sent to the home, and not answered

	advancing bool
}

// window is how many bytes of a lane are on their way to the home: 1 MiB.
const window = 1 << 20

func (l *lane) length() int { return len(l.sends) - l.head }

// first returns the send that is next to be received.
func (l *lane) first() *operation {
	if l.length() == 0 {
		return nil
	}
	return l.sends[l.head]
}

func (l *lane) push(op *operation) {
	if l.head > 64 && l.head > len(l.sends)/2 {
		l.sends = l.sends[:copy(l.sends, l.sends[l.head:])]
		l.head = 0
	}
	op.ordered = true
	l.sends = append(l.sends, op)
}

// index returns the place of op, counted from the first.
func (l *lane) index(op *operation) int {
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
func (l *lane) remove(op *operation) {
	i := l.index(op)
	if i < l.known {
		l.known--
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

// turn reports whether op may be received now, because all before it were.
func (cs *channelState) turn(op *operation) bool { return !op.ordered || cs.lane.first() == op }

// advance finds receives for the sends whose turn has come, and tells the home
// of those behind.
func (cs *channelState) advance() {
	if cs.lane.advancing {
		return // it is on the stack, and goes on
	}
	cs.lane.advancing = true
	defer func() { cs.lane.advancing = false }()
	for {
		op := cs.lane.first()
		if op == nil {
			return
		}
		if op.in == nil || !cs.place(op) {
			break
		}
	}
	cs.pump()
}

// pump tells the home of the sends of the lane that it may know.
func (cs *channelState) pump() {
	l := &cs.lane
	for cs.home != nil && l.known < l.length() {
		op := l.sends[l.head+l.known]
		if op.in == nil {
			if !op.with(cs.home) || op.term != cs.claim.term || op.offer.asks {
				return // on its way elsewhere, or there from another time
			}
			l.known++
			continue
		}
		if l.known > 0 && (!cs.eager || l.bytes >= window || op.choice != nil) {
			return
		}
		if op.choice == nil && op.encode() == nil && len(op.encoded) > maxInlineBytes && l.known > 0 {
			return // it is asked for when its turn has come
		}
		l.known++ // before register, which may end op
		cs.register(op)
	}
}

// unknown notes that the home is to be told of op again.
func (l *lane) unknown(op *operation) { l.known = min(l.known, l.index(op)) }

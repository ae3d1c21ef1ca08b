package model

// A plan is what the peers of a world want to do, and what may befall them.
type plan struct {
	peers    int
	channels int
	ops      []want
	cold     bool      // nobody has opened a channel yet
	homes    []peerID  // of each channel, if not cold; default 1
	walls    []pairing // peers that never reach each other
	faults   int       // how many may come
	kinds    []fault   // and which
	finite   bool      // whatever happens, it comes to an end, even if some are always slower than others
	defect   defect    // what is built wrongly, to see that it is found
	only     []peerID  // that faults befall; empty: all
}

type pairing [2]peerID

// A want is an operation of a plan.
type want struct {
	peer    peerID
	ch      channel
	receive bool
	big     bool     // a value that is not sent to the home with the request
	ordered bool     // begun with SendAsync: without waiting for those before
	choice  choiceID // of which it is an alternative
	after   opID     // of the same tasklet, which it is begun after
}

// A fault is something that nobody wants to happen.
type fault uint8

const (
	breaks  fault = iota // a session breaks; what is on its way is lost
	lateEnd              // a session breaks for one end, and the other reads on
	crashes              // a peer is gone for good
	reboots              // a peer is lost, and comes again as a new life
	cuts                 // two peers do not reach each other for a while
	islands              // a peer reaches nobody for a while
	cancels              // a context ends
	leaves               // a peer closes its end of a channel, home or not
	drifts               // the home moves to another member
	doubles              // two peers dial each other at once
	reminds              // a peer tells its home again what waits
)

// A defect is one thing that the protocol must not lack.
type defect uint8

const (
	sound            defect = iota
	noMemory                // nobody remembers what was accepted on a session that broke
	noFence                 // a session that broke lives on where its end is not known
	takesTwice              // a receive that was taken is taken again
	offersTwice             // the home makes a second match while one is under way, and the owner follows
	retriesInDoubt          // a lost offer is simply made again, to anyone
	forgetsPassed           // a home that passed a value on forgets it when it loses the taker
	leaveMeansNo            // a home leaves before what it passed on is answered
	releasesTwice           // a receive of a match that failed is queued although it is
	worseClaims             // any other claim is believed
	cancelLies              // a cancelled send ends at once, wherever it is
	bothRefuse              // tentative choices refuse each other
	bothHold                // tentative choices keep each other's values back
	oneBegun                // a select begins no alternative after one that went tentative
	overtakesRefused        // the home lets a pipeline go on when one of it is refused
	exposesAll              // the owner tells a new home of all, whatever is on its way elsewhere
	registersNoMore         // a receive that was refused to a select is not registered again
	matchesOneself          // the home takes two sessions of a peer for two peers
	followsStale            // the owner follows a match that was made before the home has the value again
	trustsOldAnswers        // the owner believes that a home which dropped a send has it, when it is home again
	forgetsOnMove           // a home that moves gives up what it passed on
	passesOnAnywhere        // a home passes on by any session, joined or not
	doubtsOnLeave           // what was passed on to a peer that leaves is in doubt
	countsTerms             // the owner takes the home's term for the number of the attempt
	resumesAll              // a send of a pipeline is offered again before those before it
	leavesUnmatched         // the home does not look for receives when a pipeline goes on
	skipsAhead              // a send of a pipeline passes one before it that is in the home's queue
	takesOldPipeline        // a home takes sends of a pipeline that were meant for the home that it was
	takesPlace              // who cannot reach a home that it was told of becomes it
	successorsOnly          // nobody looks for other homes
)

func (p *plan) has(f fault) bool {
	for _, k := range p.kinds {
		if k == f {
			return true
		}
	}
	return false
}

func (p *plan) befalls(n peerID) bool {
	for _, o := range p.only {
		if o == n {
			return true
		}
	}
	return len(p.only) == 0
}

func (p *plan) want(id opID) *want { return &p.ops[id-1] }

// begin returns the world in which nothing has happened.
func (p *plan) begin() world {
	w := world{faults: uint8(p.faults)}
	for i := range p.peers {
		w.nodes[i].up, w.nodes[i].incarnation = true, 1
	}
	for _, x := range p.walls {
		w.cuts[between(x[0], x[1])] = walled
	}
	for _, x := range p.ops {
		if x.choice != 0 {
			w.choices[x.choice-1].state = open
		}
	}
	if p.cold {
		return w
	}
	// Everybody has met, and joined.
	quiet := *p
	quiet.faults, quiet.defect = 0, sound
	w.faults = 0
	for c := range p.channels {
		home := peerID(1)
		if c < len(p.homes) {
			home = p.homes[c]
		}
		for n := range p.peers {
			w.nodes[n].channels[c].opened = true
		}
		quiet.at(&w, home, channel(c)).adoptClaim(claim{1, home})
	}
	for {
		var next []step
		for _, s := range quiet.steps(&w) {
			if s.do != starts {
				next = append(next, s)
			}
		}
		var chosen *step
		for i, s := range next { // whoever seeks a home finds one
			if s.do != elects {
				chosen = &next[i]
				break
			}
		}
		if chosen == nil {
			break
		}
		quiet.apply(&w, *chosen)
	}
	w.faults = uint8(p.faults)
	return w
}

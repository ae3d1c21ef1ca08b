package network

import "time"

const (
	// driftMatches is after how many matches a home looks whether it is in
	// the right place, and driftShare of them, in hundredths, must be for
	// receives of one member for it to move there.
	driftMatches = 64
	driftShare   = 75

	// firstStay is how long a home that has moved away from a peer, and come
	// back, stays there at least: a second; then twice as long each time.
	firstStay = time.Second
	lastStay  = 10 * time.Minute
)

// credit counts a match for a receive of this peer, the home, or of the one at
// the other end of s. When most are for one member, it becomes the home: then a
// value goes to it at once, without asking first where.
func (cs *channelState) credit(s *session) {
	cs.matches++
	if s == nil {
		return
	}
	att := cs.attachments[s]
	att.matches++
	if cs.matches < driftMatches {
		return
	}
	if att.joined && 100*att.matches >= driftShare*cs.matches {
		cs.drifting = s
	}
	cs.matches = 0
	for _, att := range cs.attachments {
		att.matches = 0
	}
}

// drift makes the member that credit found the home.
func (cs *channelState) drift() {
	s := cs.drifting
	cs.drifting = nil
	att := cs.attachments[s]
	now := time.Now()
	if att == nil || !att.joined || !cs.isHome() || cs.gone || now.Before(cs.stayUntil) || cs.claim.generation >= maxGeneration {
		return
	}
	cs.stay = min(max(2*cs.stay, firstStay), lastStay)
	cs.stayUntil = now.Add(cs.stay)
	cs.adopt(claim{cs.claim.generation + 1, s.peer}, nil)
}

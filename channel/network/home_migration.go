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
func (m *member) credit(s *session) {
	m.matches++
	if s == nil {
		return
	}
	t := m.ties[s]
	t.matches++
	if m.matches < driftMatches {
		return
	}
	if t.joins && 100*t.matches >= driftShare*m.matches {
		m.drifting = s
	}
	m.matches = 0
	for _, t := range m.ties {
		t.matches = 0
	}
}

// drift makes the member that credit found the home.
func (m *member) drift() {
	s := m.drifting
	m.drifting = nil
	t := m.ties[s]
	now := time.Now()
	if t == nil || !t.joins || !m.isHome() || m.gone || now.Before(m.stayUntil) || m.claim.generation >= maxGeneration {
		return
	}
	m.stay = min(max(2*m.stay, firstStay), lastStay)
	m.stayUntil = now.Add(m.stay)
	m.adopt(claim{m.claim.generation + 1, s.peer}, nil)
}

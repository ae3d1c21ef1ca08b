package network

import "time"

const (
	// migrationMatchCount is after how many matches a home looks whether it is in
	// the right place, and driftShare of them, in hundredths, must be for
	// receives of one member for it to move there.
	migrationMatchCount   = 64
	migrationSharePercent = 75

	// minTenure is how long a home that has moved away from a peer, and come
	// back, stays there at least: a second; then twice as long each time.
	minTenure = time.Second
	maxTenure = 10 * time.Minute
)

// countMatch counts a match for a receive of this peer, the home, or of the one at
// the other end of s. When most are for one member, it becomes the home: then a
// value goes to it at once, without asking first where.
func (cs *channelState) countMatch(s *session) {
	cs.matches++
	if s == nil {
		return
	}
	att := cs.attachments[s]
	att.matches++
	if cs.matches < migrationMatchCount {
		return
	}
	if att.joined && 100*att.matches >= migrationSharePercent*cs.matches {
		cs.migrateTo = s
	}
	cs.matches = 0
	for _, att := range cs.attachments {
		att.matches = 0
	}
}

// migrateHome makes the member that countMatch found the home.
func (cs *channelState) migrateHome() {
	s := cs.migrateTo
	cs.migrateTo = nil
	att := cs.attachments[s]
	now := time.Now()
	if att == nil || !att.joined || !cs.isHome() || cs.gone || now.Before(cs.tenureEnd) || cs.claim.term >= maxTerm {
		return
	}
	cs.tenure = min(max(2*cs.tenure, minTenure), maxTenure)
	cs.tenureEnd = now.Add(cs.tenure)
	cs.adoptClaim(claim{cs.claim.term + 1, s.peer}, nil)
}

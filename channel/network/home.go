package network

import (
	"context"
	"errors"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

const (
	// rejoinTimeout is how long a lost home is sought before this peer takes
	// its place.
	rejoinTimeout = time.Second

	// maxRefusedClaims is how many claims of the last term are refused: to
	// forget one costs no more than to seek its home again.
	maxRefusedClaims = 256
)

// adoptClaim changes to a better claim.
func (cs *channelState) adoptClaim(c claim, addrs []string) {
	wasHome, first := cs.isHome(), cs.claim.home == ""
	cs.claim, cs.successor, cs.claimSource, cs.homeReached = c, "", "", false
	if first && cs.onFirstClaim != nil {
		cs.onFirstClaim() // there is no need to ask more
	}
	if cs.claimChanged != nil {
		close(cs.claimChanged)
		cs.claimChanged = nil
	}
	cs.home = nil
	cs.unregisterAll()
	if wasHome {
		if !cs.isHome() && time.Since(cs.becameHomeAt) < time.Minute {
			cs.homeLosses++
		}
		cs.stopAnnouncing()
		for s, att := range cs.attachments {
			cs.forgetOperations(s, att)
		}
		for id := range cs.pairs {
			cs.unpair(id)
		}
	}
	for s, att := range cs.attachments {
		if att.helloSent {
			cs.sendHello(s, att)
		}
	}
	cs.space.log.Debug("channel home", "channel", cs.name, "home", c.home, "term", c.term)
	if cs.isHome() {
		cs.becameHomeAt = time.Now()
		cs.announce()
		if cs.closed {
			cs.ackClose()
		}
	} else {
		cs.space.node.AddAddrs(c.home, addrs)
		cs.seekHome()
	}
}

// joinHome submits to the home, at the other end of s, what waits here.
func (cs *channelState) joinHome(s *session, att *attachment) {
	cs.home, cs.homeReached = s, true
	if !att.helloSent || att.helloClaim != cs.claim {
		cs.sendHello(s, att)
	}
	if att.closeReceived {
		cs.ackClose()
	}
	cs.registerAll()
}

// seekHome seeks the home that the claim names.
func (cs *channelState) seekHome() {
	if cs.joining || cs.gone {
		return
	}
	cs.joining = true
	cs.space.spawn(func() {
		start, sought := time.Now(), claim{}
		for wait := 20 * time.Millisecond; ; wait *= 2 {
			cs.mu.Lock()
			if cs.home != nil || cs.isHome() || cs.gone || cs.space.ctx.Err() != nil {
				cs.joining = false
				cs.unlock()
				return
			}
			if cs.claim != sought {
				start, sought = time.Now(), cs.claim
			}
			// Peers that reach a third one, but not each other, would
			// take the place from each other without end.
			timeout := rejoinTimeout << min(max(cs.homeLosses-1, 0), 6)
			cs.mu.Unlock()

			ctx, cancel := context.WithTimeout(cs.space.ctx, timeout-time.Since(start))
			sn, err := cs.space.dial(ctx, sought.home)
			cancel()

			cs.mu.Lock()
			if err == nil && cs.claim == sought && !cs.gone && cs.home == nil {
				if att := cs.attachment(sn); att != nil {
					cs.joinHome(sn, att)
				}
			}
			cs.unlock()
			switch {
			case err == nil:
			case errors.Is(err, p2p.ErrUnknownPeer), time.Since(start) >= timeout:
				cs.failover(sought)
			default:
				select {
				case <-time.After(min(wait, timeout-time.Since(start))):
				case <-cs.space.ctx.Done():
				}
			}
		}
	})
}

// takeOver replaces a home that is lost by this peer. One that was never reached
// is replaced by the peer that told of it: that one reaches both.
func (cs *channelState) takeOver() {
	next := claim{cs.claim.term + 1, cs.self()}
	if !cs.homeReached && cs.claimSource != cs.claim.home && cs.space.sessionTo(cs.claimSource) != nil {
		next.home = cs.claimSource
	}
	if next.term > maxTerm {
		// No channel comes so far by losing its homes. Begin anew, and do
		// not hear of that home again.
		if cs.refusedClaims == nil || len(cs.refusedClaims) >= maxRefusedClaims {
			cs.refusedClaims = map[claim]bool{}
		}
		cs.refusedClaims[cs.claim], next = true, claim{1, cs.self()}
	}
	cs.adoptClaim(next, nil)
}

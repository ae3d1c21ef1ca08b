package network

import (
	"context"
	"errors"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

const (
	// rejoinTime is how long a lost home is sought before this peer takes
	// its place.
	rejoinTime = time.Second

	// maxLost is how many claims of the last generation are refused: to
	// forget one costs no more than to seek its home again.
	maxLost = 256
)

// adopt changes to a better claim.
func (cs *channelState) adopt(c claim, addrs []string) {
	wasHome, first := cs.isHome(), cs.claim.home == ""
	cs.claim, cs.heir, cs.teller, cs.reached = c, "", "", false
	if first && cs.claimed != nil {
		cs.claimed() // there is no need to ask more
	}
	if cs.turned != nil {
		close(cs.turned)
		cs.turned = nil
	}
	cs.home = nil
	cs.unregisterAll()
	if wasHome {
		if !cs.isHome() && time.Since(cs.crowned) < time.Minute {
			cs.deposed++
		}
		cs.stopAnnouncing()
		for s, att := range cs.attachments {
			cs.dissolve(s, att)
		}
		for id := range cs.pairs {
			cs.unpair(id)
		}
	}
	for s, att := range cs.attachments {
		if att.helloSent {
			cs.greet(s, att)
		}
	}
	cs.space.log.Debug("channel home", "channel", cs.name, "home", c.home, "generation", c.generation)
	if cs.isHome() {
		cs.crowned = time.Now()
		cs.announce()
		if cs.closed {
			cs.acknowledge()
		}
	} else {
		cs.space.node.AddAddrs(c.home, addrs)
		cs.rejoin()
	}
}

// join submits to the home, at the other end of s, what waits here.
func (cs *channelState) join(s *session, att *attachment) {
	cs.home, cs.reached = s, true
	if !att.helloSent || att.helloClaim != cs.claim {
		cs.greet(s, att)
	}
	if att.closeReceived {
		cs.acknowledge()
	}
	cs.registerAll()
}

// rejoin seeks the home that the claim names.
func (cs *channelState) rejoin() {
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
			patience := rejoinTime << min(max(cs.deposed-1, 0), 6)
			cs.mu.Unlock()

			ctx, cancel := context.WithTimeout(cs.space.ctx, patience-time.Since(start))
			sn, err := cs.space.dial(ctx, sought.home)
			cancel()

			cs.mu.Lock()
			if err == nil && cs.claim == sought && !cs.gone && cs.home == nil {
				if att := cs.attachment(sn); att != nil {
					cs.join(sn, att)
				}
			}
			cs.unlock()
			switch {
			case err == nil:
			case errors.Is(err, p2p.ErrUnknownPeer), time.Since(start) >= patience:
				cs.inherit(sought)
			default:
				select {
				case <-time.After(min(wait, patience-time.Since(start))):
				case <-cs.space.ctx.Done():
				}
			}
		}
	})
}

// succeed replaces a home that is lost by this peer. One that was never reached
// is replaced by the peer that told of it: that one reaches both.
func (cs *channelState) succeed() {
	next := claim{cs.claim.generation + 1, cs.self()}
	if !cs.reached && cs.teller != cs.claim.home && cs.space.to(cs.teller) != nil {
		next.home = cs.teller
	}
	if next.generation > maxGeneration {
		// No channel comes so far by losing its homes. Begin anew, and do
		// not hear of that home again.
		if cs.lostHomes == nil || len(cs.lostHomes) >= maxLost {
			cs.lostHomes = map[claim]bool{}
		}
		cs.lostHomes[cs.claim], next = true, claim{1, cs.self()}
	}
	cs.adopt(next, nil)
}

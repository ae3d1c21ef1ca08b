package p2p

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// revive seeks another carrier until there is one, or one that is not relayed
// when a direct connection exists. The caller holds l.mu.
func (l *lasting) revive() {
	if l.reviving || l.over() {
		return
	}
	n := l.node
	if !n.begin() {
		l.fail(ErrClosed)
		return
	}
	l.reviving = true
	go func() {
		defer n.work.Done()
		n.seekCarrier(l)
	}()
}

func (n *Node) seekCarrier(l *lasting) {
	first := 50 * time.Millisecond
	if !l.opened {
		first = courtesy
	}
	wait, brought := first, false
	for try := 0; ; try++ {
		if brought { // see whether it was lost again meanwhile
			wait, try = first, 0
		} else if try > 0 || !l.opened {
			select {
			case <-time.After(wait + rand.N(wait)):
			case <-n.ctx.Done():
			}
			wait = min(2*wait, 2*time.Second)
		}
		l.mu.Lock()
		lost := l.carrier == nil
		if !lost && !n.better(l.carrier.stream.Conn()) || l.over() || l.reset || n.ctx.Err() != nil {
			l.reviving = false
			l.mu.Unlock()
			return
		}
		if lost && time.Since(l.lost) > patience {
			l.reviving = false
			l.fail(errLost)
			l.forgetSoon()
			l.mu.Unlock()
			return
		}
		p := l.protocol
		l.mu.Unlock()
		if lost && try > 1 {
			n.seek(l.peer)
		}
		n.forgetFailures(l.peer)
		ctx, cancel := context.WithTimeout(n.ctx, carrierTimeout/2)
		err := l.bring(ctx, helloResume, []Protocol{p})
		brought = err == nil
		if err != nil {
			n.log.Debug("no carrier", "peer", l.peer, "try", try, "reason", oneLine(err))
		}
		if err != nil && ctx.Err() != nil {
			n.doubt(l.peer)
		}
		cancel()
	}
}

// better reports whether there is a connection that should carry what conn
// carries: conn is relayed, and there is a direct one.
func (n *Node) better(conn network.Conn) bool {
	return conn.Stat().Limited && n.host.Network().Connectedness(conn.RemotePeer()) == network.Connected
}

// climb has the streams to a peer leave the relay, because there is a direct
// connection now.
func (n *Node) climb(peer ID) {
	for _, l := range n.lastings.all(peer) {
		l.mu.Lock()
		if l.opened && l.carrier != nil && n.better(l.carrier.stream.Conn()) {
			l.revive()
		}
		l.mu.Unlock()
	}
}

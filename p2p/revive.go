package p2p

import (
	"context"
	"errors"
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
	select {
	case <-l.hurry: // of an earlier connection
	default:
	}
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
			l.pause(wait + rand.N(wait))
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
		err := l.resume(p, lost && try > 1)
		if brought = err == nil; !brought {
			n.log.Debug("no carrier", "peer", l.peer, "try", try, "reason", oneLine(err))
		}
	}
}

// resume brings another carrier, if there is a connection to the peer or it is
// owed one. With seek it looks for addresses of the peer first.
func (l *lasting) resume(p Protocol, seek bool) error {
	n := l.node
	if n.host.Network().Connectedness(l.peer) == network.NotConnected {
		if !l.owed() {
			return errNotOwed
		}
		if seek {
			n.seek(n.ctx, l.peer)
		}
		if err := l.approach(n.ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(n.ctx, carrierTimeout/2)
	defer cancel()
	err := l.bring(ctx, helloResume, []Protocol{p})
	if err != nil && ctx.Err() != nil {
		n.doubt(l.peer)
	}
	return err
}

var errNotOwed = errors.New("it is up to the peer, a stranger, to come back")

// owed reports whether this side looks for the peer. A stranger that opened a
// stream and is gone comes back by itself, unless it was this machine that has
// moved.
func (l *lasting) owed() bool {
	return l.opened || l.node.known.has(l.peer) || l.node.shocks.movedLately()
}

// approach connects to the peer, unless it connects itself meanwhile: then the
// addresses that are tried may be old ones, where nobody answers.
func (l *lasting) approach(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dialed := make(chan error, 1)
	go func() { dialed <- l.node.dialShared(ctx, l.peer) }()
	select {
	case err := <-dialed:
		return err
	case <-l.hurry:
		cancel()
		<-dialed
		return nil
	}
}

// pause waits, less long once there is a new connection to the peer.
func (l *lasting) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-l.hurry:
			if l.opened {
				return
			}
			timer.Reset(min(d, brief+rand.N(brief)))
		case <-timer.C:
			return
		case <-l.node.ctx.Done():
			return
		}
	}
}

// hurry has the streams to a peer that have no carrier seek one now, because
// there is a new connection: to the peer, or to a process that was started in
// its place and knows none of them.
func (n *Node) hurry(peer ID) {
	for _, l := range n.lastings.all(peer) {
		select {
		case l.hurry <- struct{}{}:
		default:
		}
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

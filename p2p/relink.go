package p2p

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// relink starts a goroutine that opens a new link: because there is none, or
// because the link is relayed and a direct connection exists. The caller holds
// l.mu.
func (l *resumable) relink() {
	if l.relinking || l.finishedBoth() {
		return
	}
	n := l.node
	if !n.work.Enter() {
		l.fail(ErrClosed)
		return
	}
	l.relinking = true
	select {
	case <-l.newConn: // a token of an earlier connection
	default:
	}
	go func() {
		defer n.work.Leave()
		n.findLink(l)
	}()
}

func (n *Node) findLink(l *resumable) {
	first := 50 * time.Millisecond
	if !l.opened {
		first = acceptorDelay
	}
	wait, brought := first, false
	for try := 0; ; try++ {
		if brought { // it may be lost again
			wait, try = first, 0
		} else if try > 0 || !l.opened {
			l.waitForConn(wait + rand.N(wait))
			wait = min(2*wait, 2*time.Second)
		}
		l.mu.Lock()
		lost := l.link == nil
		if !lost && !n.hasBetterConn(l.link.stream.Conn()) || l.finishedBoth() || l.reset || n.ctx.Err() != nil {
			l.relinking = false
			l.mu.Unlock()
			return
		}
		if lost && time.Since(l.unlinkedAt) > resumeTimeout {
			l.relinking = false
			l.fail(errLost)
			l.linger()
			l.mu.Unlock()
			return
		}
		p := l.protocol
		l.mu.Unlock()
		err := l.tryLink(p, lost && try > 1)
		if brought = err == nil; !brought {
			n.log.Debug("stream resume failed", "peer", l.peer, "try", try, "error", oneLine(err))
		}
	}
}

// tryLink opens a link once. If the peer is not connected it dials the peer, but
// only if it should, see shouldDial. With seek it first searches for addresses of
// the peer.
func (l *resumable) tryLink(p Protocol, seek bool) error {
	n := l.node
	if n.host.Network().Connectedness(l.peer) == network.NotConnected {
		if !l.shouldDial() {
			return errPeerDials
		}
		if seek {
			n.searchPeer(n.ctx, l.peer)
		}
		if err := l.dialPeer(n.ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(n.ctx, stepTimeout/2)
	defer cancel()
	err := l.openLink(ctx, helloResume, []Protocol{p})
	if err != nil && ctx.Err() != nil {
		n.probe(l.peer)
	}
	return err
}

var errPeerDials = errors.New("the peer is a stranger and must connect itself")

// shouldDial reports whether this side dials the peer. A stranger that opened the
// stream must connect again itself, unless this machine's addresses have changed.
func (l *resumable) shouldDial() bool {
	return l.opened || l.node.known.has(l.peer) || l.node.losses.addrsChangedRecently()
}

// dialPeer dials the peer. It stops when the peer connects by itself: the addresses
// that are dialed may be out of date.
func (l *resumable) dialPeer(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dialed := make(chan error, 1)
	go func() { dialed <- l.node.dialShared(ctx, l.peer) }()
	select {
	case err := <-dialed:
		return err
	case <-l.newConn:
		cancel()
		<-dialed
		return nil
	}
}

// waitForConn waits for d. It returns early after a new connection to the peer: at
// once on the side that opened the stream, after reconnectDelay on the other.
func (l *resumable) waitForConn(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-l.newConn:
			if l.opened {
				return
			}
			timer.Reset(min(d, reconnectDelay+rand.N(reconnectDelay)))
		case <-timer.C:
			return
		case <-l.node.ctx.Done():
			return
		}
	}
}

// noteNewConn tells the streams to a peer that it has a new connection. Those
// without a link open one now. The peer may have been restarted; then it answers
// that it does not know them.
func (n *Node) noteNewConn(peer ID) {
	for _, l := range n.streams.all(peer) {
		select {
		case l.newConn <- struct{}{}:
		default:
		}
	}
}

// hasBetterConn reports whether conn is relayed and a direct connection to the
// same peer exists.
func (n *Node) hasBetterConn(conn network.Conn) bool {
	return conn.Stat().Limited && n.host.Network().Connectedness(conn.RemotePeer()) == network.Connected
}

// moveOffRelay moves the streams to a peer from a relayed connection to a direct
// one.
func (n *Node) moveOffRelay(peer ID) {
	for _, l := range n.streams.all(peer) {
		l.mu.Lock()
		if l.opened && l.link != nil && n.hasBetterConn(l.link.stream.Conn()) {
			l.relink()
		}
		l.mu.Unlock()
	}
}

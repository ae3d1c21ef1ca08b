package p2p

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"

	"github.com/dstackless/dstackless/p2p/quota"
)

const (
	// openTriesMax is how often the node tries to open the first link of a stream:
	// a relay may close its connection at any moment.
	openTriesMax = 3
)

var (
	// openedStreams limits the resumable streams that other peers have opened here.
	// endedStreams limits those of them that ended within the last 30 seconds. So
	// one peer can open 270 streams a second without end.
	openedStreams, endedStreams = shared(8192, 1024), shared(65536, 8192)
	// unreadBytes limits the bytes that were received and not read. unsentBytes
	// limits the bytes that were written and not acknowledged.
	unreadBytes, unsentBytes = shared(128<<20, 16<<20), shared(128<<20, 16<<20)
)

var errFull = errors.New("stream reset: too many bytes were received and not read")

type streamKey struct {
	peer ID
	id   streamID
}

// A streamSet holds the resumable streams of a node.
type streamSet struct {
	work sync.WaitGroup

	opened, ended, unread, unsent *quota.Pool

	mu       sync.Mutex
	closed   bool
	streams  map[streamKey]*resumable
	handlers map[Protocol]func(Stream)
}

func newStreamSet() *streamSet {
	return &streamSet{
		opened: quota.New(openedStreams), ended: quota.New(endedStreams),
		unread: quota.New(unreadBytes), unsent: quota.New(unsentBytes),
		streams: map[streamKey]*resumable{}, handlers: map[Protocol]func(Stream){},
	}
}

// add adds l. It reports false if the peer or the node has too many streams.
func (ls *streamSet) add(l *resumable) bool {
	if !ls.insert(l) {
		l.returnShares()
		return false
	}
	return true
}

func (ls *streamSet) insert(l *resumable) bool {
	if !l.opened {
		if ls.ended.Of(string(l.peer)) >= endedStreams.Each {
			return false
		}
		if l.place = ls.opened.Take(l.node.resources.holder(l.peer), 1, l.evict); l.place == nil {
			return false
		}
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if !ls.closed {
		ls.streams[streamKey{l.peer, l.id}] = l
	}
	return !ls.closed
}

// remove removes l.
func (ls *streamSet) remove(l *resumable) {
	key := streamKey{l.peer, l.id}
	ls.mu.Lock()
	known := ls.streams[key] == l
	if known {
		delete(ls.streams, key)
	}
	ls.mu.Unlock()
	if known {
		l.returnShares()
	}
}

// returnShares returns the shares of a stream that was removed. Bytes that were not
// read still count.
func (l *resumable) returnShares() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.place != nil {
		l.place.Return()
	}
	l.unsent.Return()
	l.forgotten = true
	if l.in.len() == 0 {
		l.unread.Return()
	}
}

// markEnded counts l among the streams that have ended and are kept for a while.
func (ls *streamSet) markEnded(l *resumable) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.opened || ls.streams[streamKey{l.peer, l.id}] != l || l.place == nil {
		return
	}
	l.place.Return()
	l.place = ls.ended.Take(l.node.resources.holder(l.peer), 1, func() { l.node.work.Go(func() { ls.remove(l) }) })
}

// handle sets the handler of the streams in protocol p. A nil h removes it.
func (ls *streamSet) handle(p Protocol, h func(Stream)) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if h == nil {
		delete(ls.handlers, p)
	} else {
		ls.handlers[p] = h
	}
}

// all returns the streams to a peer, or all streams if peer is empty.
func (ls *streamSet) all(peer ID) []*resumable {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var list []*resumable
	for key, l := range ls.streams {
		if peer == "" || key.peer == peer {
			list = append(list, l)
		}
	}
	return list
}

// linger removes l after resumeTimeout: until then the other side may still ask
// for it. The caller holds l.mu.
func (l *resumable) linger() {
	if l.ended {
		return
	}
	l.ended = true
	l.out.release()
	l.releaseIfEmpty()
	l.node.streams.markEnded(l)
	time.AfterFunc(resumeTimeout, func() { l.node.streams.remove(l) })
}

// openResumable opens a resumable stream.
func (n *Node) openResumable(ctx context.Context, to ID, protocols []Protocol) (Stream, error) {
	l := newResumable(n, streamID{}, to, "", true)
	rand.Read(l.id[:])
	if !n.streams.add(l) {
		return nil, ErrClosed
	}
	var err error
	for range openTriesMax {
		if err = l.openLink(ctx, helloOpen, protocols); err == nil {
			return l, nil
		}
		if ctx.Err() != nil || errors.Is(err, ErrProtocol) || errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}) {
			break
		}
	}
	n.streams.remove(l)
	return nil, err
}

// openLink dials the peer if necessary, opens a libp2p stream and makes it the link.
func (l *resumable) openLink(ctx context.Context, kind helloKind, protocols []Protocol) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	n := l.node
	if err := n.dial(ctx, l.peer); err != nil {
		return err
	}
	s, err := n.host.NewStream(network.WithAllowLimitedConn(ctx, "resumable stream"), l.peer, resumableProtocol)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	l.mu.Lock()
	h := hello{kind: kind, id: l.id, received: l.ackPoint(), protocols: protocols}
	l.ackSent = h.received
	l.mu.Unlock()
	l.setHelloSent(true)
	defer l.setHelloSent(false)
	if _, err := s.Write(h.append(nil)); err != nil {
		s.Reset()
		return err
	}
	r := bufio.NewReaderSize(s, readAheadBytes)
	a, err := readAnswer(r)
	if err == nil {
		err = l.checkAnswer(a)
	}
	if err != nil {
		s.Reset()
		return err
	}
	if !stop() {
		return ctx.Err()
	}
	if kind == helloOpen {
		l.mu.Lock()
		l.protocol = a.protocol
		l.mu.Unlock()
	}
	return l.startLink(s, r, a.received)
}

func (l *resumable) setHelloSent(asking bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.helloSent = asking
}

// checkAnswer returns the error that an answer stands for.
func (l *resumable) checkAnswer(a answer) error {
	switch a.verdict {
	case verdictYes:
		return nil
	case verdictNoProtocol:
		return ErrProtocol
	case verdictUnknown:
		l.mu.Lock()
		defer l.mu.Unlock()
		l.fail(errUnknownStream)
		return errUnknownStream
	}
	return fmt.Errorf("%w: it accepts no more streams now", ErrUnreachable)
}

// startLink makes s the link and reads from it in a goroutine.
func (l *resumable) startLink(s network.Stream, r *bufio.Reader, received uint64) error {
	ls := l.node.streams
	ls.mu.Lock()
	defer ls.mu.Unlock()
	c := (*link)(nil)
	if !ls.closed {
		c = l.attachLink(s, r, received)
	}
	if c == nil {
		s.Reset()
		return network.ErrReset
	}
	ls.work.Go(c.readLoop)
	return nil
}

// acceptLink serves a link that another peer has opened.
func (n *Node) acceptLink(s network.Stream) {
	s.SetDeadline(time.Now().Add(stepTimeout))
	r := bufio.NewReaderSize(s, readAheadBytes)
	h, err := readHello(r)
	if err != nil {
		s.Reset()
		return
	}
	if n.hasBetterConn(s.Conn()) {
		n.work.Go(func() { n.probeContradicted(s.Conn().RemotePeer()) })
	}
	l, handle, a := n.meet(s.Conn(), &h)
	if l != nil {
		l.mu.Lock()
		a.received = l.ackPoint()
		l.ackSent = a.received
		l.mu.Unlock()
	}
	if _, err := s.Write(a.append(nil)); err != nil || l == nil {
		s.CloseRead()
		s.Close()
		if handle != nil { // its handler was not called
			l.mu.Lock()
			l.fail(network.ErrReset)
			l.mu.Unlock()
			n.streams.remove(l)
		}
		return
	}
	if l.startLink(s, r, h.received) != nil {
		if handle != nil {
			n.streams.remove(l)
		}
		return
	}
	if handle != nil {
		handle(l)
	}
}

// meet returns the stream that a hello is for, and the answer. If the stream is
// new, it also returns its handler.
func (n *Node) meet(conn network.Conn, h *hello) (l *resumable, handle func(Stream), a answer) {
	peer, ls := conn.RemotePeer(), n.streams
	ls.mu.Lock()
	l = ls.streams[streamKey{peer, h.id}]
	ls.mu.Unlock()
	switch {
	case l != nil && (h.kind == helloResume || !l.opened):
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case l.stopped:
			return nil, nil, answer{verdict: verdictUnknown}
		case l.opened && l.helloSent:
			return nil, nil, answer{verdict: verdictBusy}
		}
		return l, nil, answer{protocol: l.protocol}
	case l != nil, h.kind == helloResume:
		return nil, nil, answer{verdict: verdictUnknown}
	}
	var p Protocol
	ls.mu.Lock()
	for _, p = range h.protocols {
		if handle = ls.handlers[p]; handle != nil {
			break
		}
	}
	ls.mu.Unlock()
	if handle == nil {
		return nil, nil, answer{verdict: verdictNoProtocol}
	}
	l = newResumable(n, h.id, peer, p, false)
	l.conn = conn
	if !ls.add(l) {
		return nil, nil, answer{verdict: verdictFull}
	}
	return l, handle, answer{protocol: p}
}

// close resets all streams. It waits for shutdownTimeout at most until their peers
// are told, calls cut, which closes the connections, and waits for all links.
func (ls *streamSet) close(cut func()) {
	ls.mu.Lock()
	ls.closed = true
	ls.mu.Unlock()
	for _, l := range ls.all("") {
		l.Reset()
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		ls.work.Wait()
	}()
	timer := time.NewTimer(shutdownTimeout)
	defer timer.Stop()
	select {
	case <-told:
	case <-timer.C:
	}
	cut()
	<-told
}

// shutdownTimeout is how long the resets of all streams may take when the node
// closes.
const shutdownTimeout = time.Second

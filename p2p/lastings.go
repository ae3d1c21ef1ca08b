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
	// openTries is how often a carrier for a new stream is sought: the relayed
	// connection may be cut at any moment.
	openTries = 3
)

var (
	// openedStreams limits the lasting streams that other peers have opened here,
	// and endedStreams those of them that have ended within the last 30 seconds: so
	// one peer can open 270 in a second, all the time.
	openedStreams, endedStreams = shared(8192, 1024), shared(65536, 8192)
	// unreadBytes limits what lasting streams have received that nobody has read,
	// and unsentBytes what was written to them and not yet received.
	unreadBytes, unsentBytes = shared(128<<20, 16<<20), shared(128<<20, 16<<20)
)

var errFull = errors.New("too much was received that nobody reads")

type lastingKey struct {
	peer ID
	id   lastingID
}

// lastings are the lasting streams of a node.
type lastings struct {
	work sync.WaitGroup

	opened, ended, unread, unsent *quota.Pool

	mu       sync.Mutex
	closed   bool
	streams  map[lastingKey]*lasting
	handlers map[Protocol]func(Stream)
}

func newLastings() *lastings {
	return &lastings{
		opened: quota.New(openedStreams), ended: quota.New(endedStreams),
		unread: quota.New(unreadBytes), unsent: quota.New(unsentBytes),
		streams: map[lastingKey]*lasting{}, handlers: map[Protocol]func(Stream){},
	}
}

// add keeps l. It reports false if there are too many.
func (ls *lastings) add(l *lasting) bool {
	if !ls.enter(l) {
		l.giveBack()
		return false
	}
	return true
}

func (ls *lastings) enter(l *lasting) bool {
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
		ls.streams[lastingKey{l.peer, l.id}] = l
	}
	return !ls.closed
}

// remove forgets l.
func (ls *lastings) remove(l *lasting) {
	key := lastingKey{l.peer, l.id}
	ls.mu.Lock()
	known := ls.streams[key] == l
	if known {
		delete(ls.streams, key)
	}
	ls.mu.Unlock()
	if known {
		l.giveBack()
	}
}

// giveBack gives back what a stream has that the node does not know any more. What
// nobody has read yet still counts.
func (l *lasting) giveBack() {
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

// retire notes that l has ended, and is kept for a while.
func (ls *lastings) retire(l *lasting) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.opened || ls.streams[lastingKey{l.peer, l.id}] != l || l.place == nil {
		return
	}
	l.place.Return()
	l.place = ls.ended.Take(l.node.resources.holder(l.peer), 1, func() { l.node.spawn(func() { ls.remove(l) }) })
}

// handle has h serve the streams in protocol p from now on, or nobody.
func (ls *lastings) handle(p Protocol, h func(Stream)) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if h == nil {
		delete(ls.handlers, p)
	} else {
		ls.handlers[p] = h
	}
}

// all returns the streams, or those to one peer.
func (ls *lastings) all(peer ID) []*lasting {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var list []*lasting
	for key, l := range ls.streams {
		if peer == "" || key.peer == peer {
			list = append(list, l)
		}
	}
	return list
}

// forgetSoon has the node forget l when the other side surely needs no more
// answers. The caller holds l.mu.
func (l *lasting) forgetSoon() {
	if l.gone {
		return
	}
	l.gone = true
	l.out.release()
	l.drained()
	l.node.lastings.retire(l)
	time.AfterFunc(patience, func() { l.node.lastings.remove(l) })
}

// openLasting opens a lasting stream.
func (n *Node) openLasting(ctx context.Context, to ID, protocols []Protocol) (Stream, error) {
	l := newLasting(n, lastingID{}, to, "", true)
	rand.Read(l.id[:])
	if !n.lastings.add(l) {
		return nil, ErrClosed
	}
	var err error
	for range openTries {
		if err = l.bring(ctx, helloOpen, protocols); err == nil {
			return l, nil
		}
		if ctx.Err() != nil || errors.Is(err, ErrProtocol) || errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}) {
			break
		}
	}
	n.lastings.remove(l)
	return nil, err
}

// bring seeks a connection and makes a stream of it the carrier.
func (l *lasting) bring(ctx context.Context, kind helloKind, protocols []Protocol) error {
	ctx, cancel := context.WithTimeout(ctx, carrierTimeout)
	defer cancel()
	n := l.node
	if err := n.dial(ctx, l.peer); err != nil {
		return err
	}
	s, err := n.host.NewStream(network.WithAllowLimitedConn(ctx, "lasting stream"), l.peer, lastingProtocol)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	l.mu.Lock()
	h := hello{kind: kind, id: l.id, received: l.got(), protocols: protocols}
	l.told = h.received
	l.mu.Unlock()
	l.setAsking(true)
	defer l.setAsking(false)
	if _, err := s.Write(h.append(nil)); err != nil {
		s.Reset()
		return err
	}
	r := bufio.NewReaderSize(s, headBuffer)
	a, err := readAnswer(r)
	if err == nil {
		err = l.judge(a)
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
	return l.carry(s, r, a.received)
}

func (l *lasting) setAsking(asking bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking = asking
}

// judge returns the error that an answer stands for.
func (l *lasting) judge(a answer) error {
	switch a.verdict {
	case verdictYes:
		return nil
	case verdictForeign:
		return ErrProtocol
	case verdictUnknown:
		l.mu.Lock()
		defer l.mu.Unlock()
		l.fail(errForgot)
		return errForgot
	}
	return fmt.Errorf("%w: it takes no stream now", ErrUnreachable)
}

// carry attaches a stream and serves it in the background.
func (l *lasting) carry(s network.Stream, r *bufio.Reader, received uint64) error {
	ls := l.node.lastings
	ls.mu.Lock()
	defer ls.mu.Unlock()
	c := (*carrier)(nil)
	if !ls.closed {
		c = l.attach(s, r, received)
	}
	if c == nil {
		s.Reset()
		return network.ErrReset
	}
	ls.work.Go(c.read)
	return nil
}

// acceptCarrier serves a carrier that another peer brings.
func (n *Node) acceptCarrier(s network.Stream) {
	s.SetDeadline(time.Now().Add(carrierTimeout))
	r := bufio.NewReaderSize(s, headBuffer)
	h, err := readHello(r)
	if err != nil {
		s.Reset()
		return
	}
	if n.better(s.Conn()) {
		n.spawn(func() { n.contradict(s.Conn().RemotePeer()) })
	}
	l, handle, a := n.meet(s.Conn(), &h)
	if l != nil {
		l.mu.Lock()
		a.received = l.got()
		l.told = a.received
		l.mu.Unlock()
	}
	if _, err := s.Write(a.append(nil)); err != nil || l == nil {
		s.CloseRead()
		s.Close()
		if handle != nil { // nobody has seen the stream
			l.mu.Lock()
			l.fail(network.ErrReset)
			l.mu.Unlock()
			n.lastings.remove(l)
		}
		return
	}
	if l.carry(s, r, h.received) != nil {
		if handle != nil {
			n.lastings.remove(l)
		}
		return
	}
	if handle != nil {
		handle(l)
	}
}

// meet returns the stream that a hello is for. If it is a new one, it also
// returns what handles it.
func (n *Node) meet(conn network.Conn, h *hello) (l *lasting, handle func(Stream), a answer) {
	peer, ls := conn.RemotePeer(), n.lastings
	ls.mu.Lock()
	l = ls.streams[lastingKey{peer, h.id}]
	ls.mu.Unlock()
	switch {
	case l != nil && (h.kind == helloResume || !l.opened):
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case l.stopped:
			return nil, nil, answer{verdict: verdictUnknown}
		case l.opened && l.asking:
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
		return nil, nil, answer{verdict: verdictForeign}
	}
	l = newLasting(n, h.id, peer, p, false)
	l.conn = conn
	if !ls.add(l) {
		return nil, nil, answer{verdict: verdictFull}
	}
	return l, handle, answer{protocol: p}
}

// close resets all streams, tells their peers as far as that is quick, and
// waits for what runs.
func (ls *lastings) close(cut func()) {
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
	timer := time.NewTimer(farewell)
	defer timer.Stop()
	select {
	case <-told:
	case <-timer.C:
	}
	cut()
	<-told
}

// farewell is how long the peers of lasting streams have to hear of their end.
const farewell = time.Second

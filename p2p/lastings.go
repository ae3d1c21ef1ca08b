package p2p

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"
)

const (
	// maxLasting is how many lasting streams one peer may have opened here, and
	// maxEnded how many of its streams may have ended within the last 30 seconds:
	// so it can open 270 in a second, all the time.
	maxLasting = 1024
	maxEnded   = 8192
	// maxBuffered is how many bytes all lasting streams together may have
	// received that nobody has read, and bufferedOfOne those of one peer.
	maxBuffered, bufferedOfOne = 128 << 20, 16 << 20
	// openTries is how often a carrier for a new stream is sought: the relayed
	// connection may be cut at any moment.
	openTries = 3
)

var (
	errEOF  = io.EOF
	errFull = errors.New("too much was received that nobody reads")
)

type lastingKey struct {
	peer ID
	id   lastingID
}

// lastings are the lasting streams of a node.
type lastings struct {
	work sync.WaitGroup

	bufferMu sync.Mutex
	buffered int        // bytes
	share    map[ID]int // of each peer that has some

	mu       sync.Mutex
	closed   bool
	streams  map[lastingKey]*lasting
	accepted map[ID]int
	ended    map[ID]int // of those that were accepted, and are still known
	handlers map[Protocol]func(Stream)
}

func newLastings() *lastings {
	return &lastings{share: map[ID]int{}, streams: map[lastingKey]*lasting{}, accepted: map[ID]int{}, ended: map[ID]int{}, handlers: map[Protocol]func(Stream){}}
}

// take has n bytes of a peer be kept, unless they are too many.
func (ls *lastings) take(peer ID, n int) bool {
	ls.bufferMu.Lock()
	defer ls.bufferMu.Unlock()
	if ls.buffered+n > maxBuffered || ls.share[peer]+n > bufferedOfOne {
		return false
	}
	ls.buffered += n
	ls.share[peer] += n
	return true
}

// give ends that.
func (ls *lastings) give(peer ID, n int) {
	ls.bufferMu.Lock()
	defer ls.bufferMu.Unlock()
	ls.buffered -= n
	if ls.share[peer] -= n; ls.share[peer] == 0 {
		delete(ls.share, peer)
	}
}

// add keeps l. It reports false if there are too many.
func (ls *lastings) add(l *lasting) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed || !l.opened && (ls.accepted[l.peer] >= maxLasting || ls.ended[l.peer] >= maxEnded) {
		return false
	}
	if !l.opened {
		ls.accepted[l.peer]++
	}
	ls.streams[lastingKey{l.peer, l.id}] = l
	return true
}

// remove forgets l.
func (ls *lastings) remove(l *lasting) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	key := lastingKey{l.peer, l.id}
	if ls.streams[key] != l {
		return
	}
	delete(ls.streams, key)
	switch {
	case l.opened:
	case l.retired:
		less(ls.ended, l.peer)
	default:
		less(ls.accepted, l.peer)
	}
}

// retire notes that l has ended, and is kept for a while.
func (ls *lastings) retire(l *lasting) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if !l.opened && ls.streams[lastingKey{l.peer, l.id}] == l && !l.retired {
		l.retired = true
		less(ls.accepted, l.peer)
		ls.ended[l.peer]++
	}
}

func less(counts map[ID]int, of ID) {
	if counts[of]--; counts[of] == 0 {
		delete(counts, of)
	}
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
	r := bufio.NewReaderSize(s, 2*maxPiece)
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
	ls.work.Go(c.pump)
	ls.work.Go(c.read)
	return nil
}

// acceptCarrier serves a carrier that another peer brings.
func (n *Node) acceptCarrier(s network.Stream) {
	s.SetDeadline(time.Now().Add(carrierTimeout))
	r := bufio.NewReaderSize(s, 2*maxPiece)
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

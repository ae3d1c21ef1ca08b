package peertest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// chunk is how many bytes a relay reads at a time.
	chunk = 32 << 10
	// inFlight is how many chunks one direction of a connection holds before
	// its sender is held up: the bytes on a long wire.
	inFlight = 128
)

// A relay is one TCP connection from a peer to another, with the harness in the
// middle: near leads to the one that dialed, far to the other.
type relay struct {
	nw        *Network
	from, to  int
	near, far *net.TCPConn
	end       sync.Once
	done      chan struct{}
}

// begin begins to copy, unless a fault came first.
func (nw *Network) begin(r *relay) bool {
	nw.mu.Lock()
	defer nw.mu.Unlock()
	// Whoever makes a fault changes the way first and then looks for relays,
	// under this lock: none is missed.
	if nw.closed || nw.nodes[r.from].running() == nil || nw.nodes[r.to].running() == nil || nw.ways[r.from][r.to].isSevered() {
		return false
	}
	nw.relays[r.near.RemoteAddr().String()] = r
	nw.wg.Go(func() { r.copy(r.far, r.near, nw.ways[r.from][r.to]) })
	nw.wg.Go(func() { r.copy(r.near, r.far, nw.ways[r.to][r.from]) })
	return true
}

// resetRelays resets the connections for which which is true.
func (nw *Network) resetRelays(which func(*relay) bool) {
	nw.mu.Lock()
	var list []*relay
	for _, r := range nw.relays {
		if which(r) {
			list = append(list, r)
		}
	}
	nw.mu.Unlock()
	for _, r := range list {
		r.reset()
	}
}

// reset ends the connection in the way of a crash: both ends are told by their
// kernel that it was reset.
func (r *relay) reset() {
	r.end.Do(func() {
		close(r.done)
		for _, c := range []*net.TCPConn{r.near, r.far} {
			c.SetLinger(0)
			c.Close()
		}
		r.nw.mu.Lock()
		delete(r.nw.relays, r.near.RemoteAddr().String())
		r.nw.mu.Unlock()
	})
}

// A load is a piece of what passes one way, or its end.
type load struct {
	due  time.Time
	data []byte
	end  error
}

// copy copies one direction, in the time that the way takes.
func (r *relay) copy(dst, src *net.TCPConn, w *way) {
	var (
		queue   = make(chan load, inFlight)
		waiting atomic.Int32 // loads that are not written yet
		writer  sync.WaitGroup
	)
	writer.Go(func() {
		for l := range queue {
			if l.end == nil && w.pass(l.due, r.done) {
				if _, err := dst.Write(l.data); err != nil {
					r.reset()
				}
			} else if l.end != nil && w.pass(l.due, r.done) {
				r.finish(dst, l.end)
			}
			waiting.Add(-1)
		}
	})
	defer writer.Wait()
	defer close(queue)
	buf := make([]byte, chunk)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			due := w.book(n)
			if due.IsZero() && waiting.Load() == 0 && !w.isMuted() {
				if _, err := dst.Write(buf[:n]); err != nil {
					r.reset()
					return
				}
			} else {
				waiting.Add(1)
				queue <- load{due: due, data: append([]byte(nil), buf[:n]...)}
			}
		}
		if err != nil {
			waiting.Add(1)
			queue <- load{due: w.book(0), end: err}
			return
		}
	}
}

// finish tells one end how the other ended.
func (r *relay) finish(dst *net.TCPConn, err error) {
	if errors.Is(err, io.EOF) {
		dst.CloseWrite()
		return
	}
	r.reset()
}

// A front is where peers connect to when the harness is to be in the middle.
type front struct {
	mu sync.Mutex // held to dial and accept, so that one knows the other
	l  *net.TCPListener
}

func (f *front) close() { f.l.Close() }

// pair returns both ends of a new TCP connection over loopback.
func (nw *Network) pair(ctx context.Context) (dialed, accepted *net.TCPConn, err error) {
	nw.mu.Lock()
	if nw.front == nil {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			nw.mu.Unlock()
			return nil, nil, err
		}
		nw.front = &front{l: l}
	}
	f := nw.front
	nw.mu.Unlock()

	f.mu.Lock()
	defer f.mu.Unlock()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp4", f.l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	for {
		accepted, err := f.l.AcceptTCP()
		if err != nil {
			c.Close()
			return nil, nil, err
		}
		if accepted.RemoteAddr().String() == c.LocalAddr().String() {
			return c.(*net.TCPConn), accepted, nil
		}
		accepted.Close() // a stranger who looked at the port
	}
}

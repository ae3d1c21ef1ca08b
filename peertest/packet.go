package peertest

import (
	"net"
	"time"
)

// maxBacklog is how long a packet may wait for its turn on a way of little
// bandwidth. If it would have to wait longer, it is lost.
const maxBacklog = time.Second

// A packet is a packet on its way.
type packet struct {
	due   time.Time
	data  []byte
	to    net.Addr
	from  *socket
	owner *node // of to
}

// post sends p on a way that takes time.
func (nw *Network) post(w *way, p *packet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bandwidth > 0 && time.Until(w.busy) > maxBacklog {
		return
	}
	p.due = w.bookLocked(len(p.data))
	w.packets = append(w.packets, p)
	if w.carrying {
		return
	}
	// Not for long: the goroutine ends when nothing is on its way.
	nw.mu.Lock()
	defer nw.mu.Unlock()
	if !nw.closed {
		w.carrying = true
		nw.wg.Go(func() { nw.carry(w) })
	}
}

// carry brings the packets of a way to where they go, in order.
func (nw *Network) carry(w *way) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		w.mu.Lock()
		if len(w.packets) == 0 {
			w.packets, w.carrying = nil, false
			w.mu.Unlock()
			return
		}
		p := w.packets[0]
		w.packets = w.packets[1:]
		w.mu.Unlock()
		if wait := time.Until(p.due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-nw.done:
				return
			}
		}
		if p.from.node.running() != nil && p.owner.running() != nil && !w.isBlocked() {
			p.from.PacketConn.WriteTo(p.data, p.to)
		}
	}
}

package dht

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dstackless/dstackless/p2p"
)

// withdrawProtocol takes back all that a peer has announced. The stream has no
// content: the connection proves who opens it, so that a peer can withdraw for
// itself alone, and nothing can be replayed. The other side ends the stream when
// it has taken note.
const withdrawProtocol p2p.Protocol = "/dstackless/withdraw/1"

const (
	// withdrawTimeout bounds how long Close tells others that this peer ends.
	withdrawTimeout = 3 * time.Second
	// withdrawMax is how many peers that have ended are remembered, at about 100
	// bytes each. One more takes the place of any other, whose records then stay
	// until they expire.
	withdrawMax = 1 << 14
)

// A withdrawals is the peers that have ended in order, and whose records are not
// handed out although they have not expired. kad-dht cannot delete a record.
type withdrawals struct {
	ttl time.Duration // after it, the records have expired

	mu    sync.Mutex // guards ended
	ended map[p2p.ID]time.Time
}

func newWithdrawals(ttl time.Duration) *withdrawals {
	return &withdrawals{ttl: ttl, ended: map[p2p.ID]time.Time{}}
}

// add notes that a peer ends.
func (w *withdrawals) add(id p2p.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.ended) >= withdrawMax {
		w.makeRoomLocked()
	}
	w.ended[id] = time.Now()
}

// makeRoomLocked drops what has expired, or else any one.
func (w *withdrawals) makeRoomLocked() {
	for id, at := range w.ended {
		if time.Since(at) > w.ttl {
			delete(w.ended, id)
		}
	}
	for id := range w.ended {
		if len(w.ended) < withdrawMax {
			return
		}
		delete(w.ended, id)
	}
}

// remove notes that a peer is there again: it has connected.
func (w *withdrawals) remove(id p2p.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.ended, id)
}

// has reports whether a peer has ended.
func (w *withdrawals) has(id p2p.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, ended := w.ended[id]
	return ended && time.Since(at) <= w.ttl
}

// empty reports whether no peer has ended.
func (w *withdrawals) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.ended) == 0
}

// takeWithdrawals has other peers withdraw what they have announced.
func (d *DHT) takeWithdrawals() {
	d.node.Host().Network().Notify(d.returns)
	d.node.Handle(withdrawProtocol, func(s p2p.Stream) {
		d.withdrawals.add(s.Conn().RemotePeer())
		s.Close()
	})
}

// returning forgets the withdrawal of each peer that connects.
func (d *DHT) returning() network.Notifiee {
	return &network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
		d.withdrawals.remove(c.RemotePeer())
	}}
}

// withdraw tells the connected peers, and those that hold the record of this
// peer's name, that this peer ends. A new key can then have the name at once.
func (d *DHT) withdraw() {
	ctx, cancel := context.WithTimeout(context.Background(), withdrawTimeout)
	defer cancel()
	told := map[p2p.ID]bool{}
	var work sync.WaitGroup
	defer work.Wait()
	tell := func(id p2p.ID) {
		if !told[id] {
			told[id] = true
			work.Go(func() { d.withdrawFrom(ctx, id) })
		}
	}
	for _, p := range d.node.Peers() {
		tell(p.ID)
	}
	if len(told) == 0 {
		return
	}
	holders, err := d.kad.GetClosestPeers(ctx, string(d.names.own.key().Hash()))
	if err != nil {
		return // they forget the records when these expire
	}
	for _, id := range holders {
		tell(id)
	}
}

// withdrawFrom tells one peer that this one ends, and waits until it knows. A
// peer that cannot be told forgets the records when they expire.
func (d *DHT) withdrawFrom(ctx context.Context, id p2p.ID) {
	s, err := d.node.Open(ctx, id, withdrawProtocol)
	if err != nil {
		return
	}
	defer s.Reset()
	defer context.AfterFunc(ctx, func() { s.Reset() })()
	io.ReadAll(io.LimitReader(s, 1))
}

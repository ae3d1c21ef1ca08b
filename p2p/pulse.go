package p2p

import "time"

// pulse is how often those peers are asked whether they are there through whom
// this node reaches the network and is reached. One that is gone says nothing;
// QUIC itself would take half a minute to notice, TCP minutes, and all that
// goes through it would wait as long.
const pulse = 5 * time.Second

// followPulse asks until the node closes.
func (n *Node) followPulse() {
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-n.ctx.Done():
			return
		}
		for _, id := range append(n.keeps(), n.Reach().Relays...) {
			n.spawn(func() { n.suspect(id) })
		}
	}
}

package p2p

import "time"

// keepaliveInterval is how often the node probes its relays and the peers that it
// keeps connected. Without probes, QUIC notices after half a minute that a peer is
// gone, and TCP after minutes.
const keepaliveInterval = 5 * time.Second

// sendKeepalives probes until the node closes.
func (n *Node) sendKeepalives() {
	ticker := time.NewTicker(keepaliveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-n.ctx.Done():
			return
		}
		for _, id := range append(n.keptPeers(), n.Reach().Relays...) {
			n.work.Go(func() { n.probeLenient(id) })
		}
	}
}

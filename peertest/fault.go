package peertest

import (
	"context"
	"time"
)

// Kill ends peer i as a crash does: its connections are reset, nothing is said,
// nobody can connect to it. Then what is left of it in this process is cleaned
// up, so that its operations return; what they return is as good as if it had
// not been killed. A peer with a DataDir may still write to it. A peer that
// does not run is left alone.
//
// [StartProcess] has peers that can be killed with nothing cleaned up.
func (nw *Network) Kill(i int) {
	nw.helper()
	nw.nodes[i].kill()
}

// Leave closes peer i in good order: the others are told. A peer that does not
// run is left alone.
func (nw *Network) Leave(i int) {
	nw.helper()
	if err := nw.nodes[i].close(); err != nil {
		nw.errorf("close peer %d: %v", i, err)
	}
}

// Restart starts peer i anew, after [Network.Kill] or [Network.Leave]: a new life
// with the same key, at the same address, connected to the peers that run and
// that it can reach. That the peer runs already, or that it does not start
// within 30 seconds, is fatal to the test.
func (nw *Network) Restart(i int) {
	nw.helper()
	if err := nw.nodes[i].start(); err != nil {
		nw.fatal("restart peer %d: %v", i, err)
	}
}

// Partition severs the links between the peers of different groups, in addition
// to those that are severed already: connections across are reset, and new ones
// cannot be made, until [Network.Heal]. Peers in no group keep their links.
func (nw *Network) Partition(groups ...[]int) {
	for a := range groups {
		for b := range groups {
			if a == b {
				continue
			}
			for _, i := range groups[a] {
				for _, j := range groups[b] {
					w := nw.ways[i][j]
					w.change(func() { w.severed = true })
				}
			}
		}
	}
	nw.drop(func(i, j int) bool { return nw.ways[i][j].isSevered() })
}

// Mute has nothing that peer i says reach peer j, without a word to either,
// until [Network.Heal]: packets get lost. The other direction is not changed.
// Over TCP what was said arrives when the link is healed, as if it had been sent
// again, unless a peer has given the connection up.
func (nw *Network) Mute(i, j int) {
	w := nw.ways[i][j]
	w.change(func() { w.muted = true })
}

// Heal ends all partitions and silence. Peers are not connected by it: that they
// find each other again is theirs to do. [Network.Connect] helps them.
func (nw *Network) Heal() {
	for _, from := range nw.ways {
		for _, w := range from {
			w.change(func() { w.severed, w.muted = false, false })
		}
	}
}

// Cut resets the connections between two peers. New ones can be made at once.
func (nw *Network) Cut(i, j int) {
	nw.drop(func(a, b int) bool { return a == i && b == j || a == j && b == i })
}

// Slow sets how long everything takes from either of two peers to the other, one
// way, and how many bytes per second pass each way; 0 stands for no time, and for
// no limit. What is on its way already is not changed.
func (nw *Network) Slow(i, j int, latency time.Duration, bandwidth int64) {
	for _, w := range []*way{nw.ways[i][j], nw.ways[j][i]} {
		w.change(func() { w.latency, w.bandwidth, w.busy = latency, bandwidth, time.Time{} })
	}
}

// Connect connects peer i to peer j. It is fatal to the test if that fails, or
// takes longer than 30 seconds.
func (nw *Network) Connect(i, j int) {
	nw.helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	addrs := nw.Peer(j).Addrs()
	if len(addrs) == 0 {
		nw.fatal("connect peer %d to peer %d, which does not run", i, j)
	}
	if _, err := nw.Peer(i).Connect(ctx, addrs[0]); err != nil {
		nw.fatal("connect peer %d to peer %d: %v", i, j, err)
	}
}

// Mesh connects each peer to all others, as Connect does: those that do not run,
// and those that cannot reach each other, are left alone.
func (nw *Network) Mesh() {
	nw.helper()
	for i, a := range nw.nodes {
		for j, b := range nw.nodes[:i] {
			if a.running() != nil && b.running() != nil && !nw.ways[i][j].isSevered() && !nw.ways[j][i].isSevered() {
				nw.Connect(i, j)
			}
		}
	}
}

// drop ends the connections between the peers for which which is true.
func (nw *Network) drop(which func(i, j int) bool) {
	nw.resetRelays(func(r *relay) bool { return which(r.from, r.to) })
	if !nw.opts.QUIC {
		return
	}
	// A QUIC connection cannot be reset from outside: each end is told.
	for i, a := range nw.nodes {
		for j, b := range nw.nodes {
			if from, to := a.running(), b.running(); i != j && from != nil && to != nil && which(i, j) {
				from.Network().ClosePeer(to.ID())
			}
		}
	}
}

package p2p

import "sync"

// loggedPeersMax is how many peers are remembered as logged.
const loggedPeersMax = 4096

// loggedPeers are peers for which something was logged, so that it is logged once.
type loggedPeers struct {
	mu    sync.Mutex
	peers map[ID]bool
}

// add adds a peer, and reports whether it was not there.
func (t *loggedPeers) add(id ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peers[id] {
		return false
	}
	if t.peers == nil || len(t.peers) >= loggedPeersMax {
		t.peers = map[ID]bool{} // some are logged again
	}
	t.peers[id] = true
	return true
}

func (t *loggedPeers) remove(id ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.peers, id)
}

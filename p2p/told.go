package p2p

import "sync"

// maxTold is how many peers are remembered as told of.
const maxTold = 4096

// told are peers of which the log has told something.
type told struct {
	mu    sync.Mutex
	peers map[ID]bool
}

// add reports whether nothing was told of the peer yet.
func (t *told) add(id ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peers[id] {
		return false
	}
	if t.peers == nil || len(t.peers) >= maxTold {
		t.peers = map[ID]bool{} // some will be told of again
	}
	t.peers[id] = true
	return true
}

func (t *told) remove(id ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.peers, id)
}

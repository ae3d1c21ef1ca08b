package p2p

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/conngater"
)

// blockedFile holds the IDs of the blocked peers, one a line.
const blockedFile = "blocked"

// blocks is who may not connect.
type blocks struct {
	*conngater.BasicConnectionGater
	refusedLogged loggedPeers // refused since they were blocked
	mu            sync.Mutex  // held while the list changes
	path          string      // or ""
}

// gater is asked by libp2p about each connection.
type gater struct {
	*blocks
	resources *resources
	log       *slog.Logger
}

// InterceptAccept is asked about a connection that a listener has accepted.
func (g gater) InterceptAccept(c network.ConnMultiaddrs) bool {
	g.resources.accept(c)
	return g.blocks.InterceptAccept(c)
}

// InterceptSecured is asked about a connection whose other end has proved who it
// is.
func (g gater) InterceptSecured(d network.Direction, id ID, c network.ConnMultiaddrs) bool {
	allow := g.blocks.InterceptSecured(d, id, c)
	if !allow && g.refusedLogged.add(id) {
		g.log.Info("refused a blocked peer", "peer", id, "addr", c.RemoteMultiaddr())
	}
	return allow
}

func newBlocks(dir string) (*blocks, error) {
	gater, err := conngater.NewBasicConnectionGater(nil)
	if err != nil {
		return nil, err
	}
	b := &blocks{BasicConnectionGater: gater}
	if dir == "" {
		return b, nil
	}
	b.path = filepath.Join(dir, blockedFile)
	return b, b.read()
}

func (b *blocks) read() error {
	f, err := os.Open(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		id, err := ParseID(lines.Text())
		if err != nil {
			return fmt.Errorf("%s, line %d: %w", b.path, n, err)
		}
		b.BlockPeer(id) // without a datastore it does not fail
	}
	return lines.Err()
}

// write puts the list on disk, whole or not at all.
func (b *blocks) write() (err error) {
	if b.path == "" {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(b.path), blockedFile+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	w := bufio.NewWriter(f)
	for _, id := range b.list() {
		fmt.Fprintln(w, id)
	}
	if err = errors.Join(w.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), b.path)
}

func (b *blocks) list() []ID {
	ids := b.ListBlockedPeers()
	slices.SortFunc(ids, func(x, y ID) int { return cmp.Compare(x, y) })
	return ids
}

func (b *blocks) has(id ID) bool { return !b.InterceptPeerDial(id) }

// Block ends all connections with a peer and has none made again, by either
// side, direct or relayed, until [Node.Unblock]. With a data folder it stands for
// later runs. What the peer says to others, and they pass on, is not kept out. A
// peer gets a new ID for nothing: who shall be kept out for certain is not given
// the network's key.
//
// The error is [ErrSelf] for the node's own ID, or says that the list could not
// be written; then nothing has changed.
func (n *Node) Block(id ID) error {
	if id == n.ID() {
		return fmt.Errorf("p2p: block %s: %w", id, ErrSelf)
	}
	if err := n.blocks.change(n.blocks.BlockPeer, n.blocks.UnblockPeer, id); err != nil {
		return fmt.Errorf("p2p: block %s: %w", id, err)
	}
	n.log.Info("peer blocked", "peer", id)
	for _, l := range n.streams.all(id) { // they would wait for another connection
		l.Reset()
	}
	n.host.Network().ClosePeer(id)
	return nil
}

// Unblock ends what [Node.Block] did. For a peer that is not blocked it does
// nothing.
func (n *Node) Unblock(id ID) error {
	if !n.blocks.has(id) {
		return nil
	}
	if err := n.blocks.change(n.blocks.UnblockPeer, n.blocks.BlockPeer, id); err != nil {
		return fmt.Errorf("p2p: unblock %s: %w", id, err)
	}
	n.blocks.refusedLogged.remove(id)
	n.log.Info("peer unblocked", "peer", id)
	n.forgetFailures(id)
	return nil
}

// change does something to the list, or else undoes it.
func (b *blocks) change(do, undo func(ID) error, id ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	do(id)
	err := b.write()
	if err != nil {
		undo(id)
	}
	return err
}

// Blocked lists the blocked peers, in order.
func (n *Node) Blocked() []ID { return n.blocks.list() }

// IsBlocked reports whether a peer is blocked.
func (n *Node) IsBlocked(id ID) bool { return n.blocks.has(id) }

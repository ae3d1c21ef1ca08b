// Package dstackless lets programs on different machines share channels by
// name and move running tasklets to each other, with no server in the middle.
package dstackless

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/internal/testhook"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/content"
)

// ErrDataDir says that another running peer uses the data folder.
var ErrDataDir = errors.New("data folder is in use by another running peer")

// A Peer is a member of the network: it has channels, and hosts tasklets. It
// is a [channel.Space]. All methods are safe for concurrent use.
type Peer struct {
	node     *p2p.Node
	table    *dht.DHT
	channels *network.Space
	content  *content.Store
	tasklets *tasklet.Host
	lock     *flock.Flock
	close    sync.Once
	closed   error
}

// Start starts a peer and connects it to its bootstrap peers. It fails if none
// of them can be reached before ctx ends; later, ctx has no effect. Nil opts
// stand for the defaults.
func Start(ctx context.Context, opts *Options) (_ *Peer, err error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	p := &Peer{}
	defer func() {
		if err != nil {
			p.Close()
			err = fmt.Errorf("dstackless: start: %w", err)
		}
	}()
	t, err := o.trust()
	if err != nil {
		return nil, err
	}
	if o.DataDir != "" {
		if err := p.claim(o.DataDir); err != nil {
			return nil, err
		}
	}
	p.node, err = p2p.Start(&p2p.Options{
		DataDir: o.DataDir, Listen: o.Listen, NetworkKey: o.NetworkKey, NoLAN: o.NoLAN,
		NoPortMapping: o.NoPortMapping, Relay: o.Relay, Logger: o.Logger, TestHooks: testhook.From(ctx),
	})
	if err != nil {
		return nil, err
	}
	if p.table, err = dht.Start(p.node, &dht.Options{Name: dht.Name(o.Name), Pins: t.pins}); err != nil {
		return nil, err
	}
	p.findRelays(o.Relay != nil)
	p.channels = network.Start(p.node, p.table, &network.Options{Logger: o.Logger})
	if err := p.host(&o, t); err != nil {
		return nil, err
	}
	return p, p.bootstrap(ctx, o.Bootstrap)
}

// host makes the peer a host of tasklets.
func (p *Peer) host(o *Options, t *trust) (err error) {
	to := tasklet.Options{
		DataDir: o.DataDir, Checkpoint: o.Checkpoint, TrustLoops: o.TrustLoops, SetAsideJournal: o.SetAsideJournal, Functions: o.Functions, Accept: t.peers, AcceptAny: t.any,
		Limits: o.Limits, Logger: o.Logger,
	}
	var blocks string
	if o.DataDir != "" {
		blocks = filepath.Join(o.DataDir, "blocks")
	}
	if p.content, err = content.Start(p.node, p.table, &content.Options{Dir: blocks}); err != nil {
		return err
	}
	p.tasklets, err = tasklet.Start(p.node, p.table, p.content, p.channels, &to)
	return err
}

// claim takes the data folder for this peer alone.
func (p *Peer) claim(dir string) error {
	if err := p2p.PrivateFolder(dir); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("%w: %s", ErrDataDir, dir)
	}
	p.lock = lock
	return nil
}

// relays is what the peers that serve as relays are announced under.
const relays = "dstackless relays"

// findRelays has the node find, through the table, the peers that it needs to
// be reached and to reach others. It also announces this one if it serves.
func (p *Peer) findRelays(serves bool) {
	key := dht.KeyOf(relays)
	if serves {
		p.table.Announce(key) // until the table is closed
	}
	p.node.SetFinder(p2p.Finder{
		Peer: p.table.FindPeer,
		Relays: func(ctx context.Context, yield func(p2p.ID) bool) {
			for id := range p.table.Find(ctx, key) {
				if !yield(id) {
					return
				}
			}
		},
	})
}

func (p *Peer) bootstrap(ctx context.Context, addrs []string) error {
	var failed []error
	for _, addr := range addrs {
		if _, err := p.node.Connect(ctx, addr); err != nil {
			failed = append(failed, fmt.Errorf("bootstrap: %w", err))
		}
	}
	if len(addrs) > 0 && len(failed) == len(addrs) {
		return errors.Join(failed...)
	}
	for _, addr := range addrs {
		if err := p.node.KeepConnected(addr); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	}
	return nil
}

// ID returns the peer's ID: its key, under which others know it.
func (p *Peer) ID() string { return p.node.ID().String() }

// Addrs returns the full multiaddrs, with /p2p/, under which the peer can be
// reached. They change when its network does, and when it finds a relay.
func (p *Peer) Addrs() []string { return p.node.Addrs() }

// Reach tells how others reach the peer.
func (p *Peer) Reach() p2p.Reach { return p.node.Reach() }

// RoundTrip measures how long a message takes to a connected peer and back.
// Peer is what [Peer.Lookup] takes.
func (p *Peer) RoundTrip(ctx context.Context, peer string) (time.Duration, error) {
	to, err := p.table.Lookup(ctx, peer)
	if err != nil {
		return 0, err
	}
	return p.node.RoundTrip(ctx, to)
}

// Connect connects to the peer at addr, a full multiaddr with /p2p/, and
// returns its ID.
func (p *Peer) Connect(ctx context.Context, addr string) (string, error) {
	id, err := p.node.Connect(ctx, addr)
	if err != nil {
		return "", err
	}
	return id.String(), nil
}

// Block ends all connections with a peer, given as to [Peer.Lookup], and has none
// made again, by either side, until [Peer.Unblock]; nor do tasklets that it
// started come here any more by way of others. With a data folder that stands for
// later runs. See p2p.Node.Block for what it does not do.
func (p *Peer) Block(ctx context.Context, peer string) error {
	id, err := p.table.Lookup(ctx, peer)
	if err != nil {
		return fmt.Errorf("dstackless: block: %w", err)
	}
	return p.node.Block(id)
}

// Unblock ends what [Peer.Block] did to the peer with that ID, all of it.
func (p *Peer) Unblock(id string) error {
	peer, err := p2p.ParseID(id)
	if err != nil {
		return fmt.Errorf("dstackless: unblock: %w", err)
	}
	return p.node.Unblock(peer)
}

// Blocked lists the IDs of the blocked peers.
func (p *Peer) Blocked() []string {
	var ids []string
	for _, id := range p.node.Blocked() {
		ids = append(ids, id.String())
	}
	return ids
}

// Peers lists the connected peers.
func (p *Peer) Peers() []p2p.PeerInfo { return p.node.Peers() }

// Open implements [channel.Space]; use [channel.Open].
func (p *Peer) Open(ctx context.Context, name channel.Name) (channel.Endpoint, error) {
	return p.channels.Open(ctx, name)
}

// Select implements [channel.Space]; use [channel.Select].
func (p *Peer) Select(ctx context.Context, alternatives []channel.Alternative, wait bool) (int, error) {
	return p.channels.Select(ctx, alternatives, wait)
}

// Channels lists the channels that are open on this peer.
func (p *Peer) Channels() []channel.Info { return p.channels.Channels() }

// Spawn starts a program on this peer, as a tasklet. Wasm is an ordinary Go
// program built with GOOS=wasip1 GOARCH=wasm; args are its arguments, without
// the program's name.
func (p *Peer) Spawn(ctx context.Context, wasm []byte, args ...string) (*tasklet.Tasklet, error) {
	return p.tasklets.Spawn(ctx, wasm, args...)
}

// Go starts a function on this peer, as a tasklet: call is of one of the
// functions in Options.Functions, with the state that it begins with, which is
// copied. See [tasklet.Func].
func (p *Peer) Go(ctx context.Context, call tasklet.Call) (*tasklet.Tasklet, error) {
	return p.tasklets.Go(ctx, call)
}

// Tasklet returns a handle on the tasklet whose ID is, or alone begins with,
// prefix, among those that this peer started or hosts.
func (p *Peer) Tasklet(prefix string) (*tasklet.Tasklet, error) { return p.tasklets.Find(prefix) }

// OpenTasklet returns a handle on the tasklet with that ID, wherever it is, and
// whoever started it: see tasklet.Host.Open. A [tasklet.Ref] opens one with
// which everything can be done.
func (p *Peer) OpenTasklet(ctx context.Context, id tasklet.ID) (*tasklet.Tasklet, error) {
	return p.tasklets.Open(ctx, id)
}

// OpenRef implements [tasklet.Opener]; use [tasklet.Ref.Open].
func (p *Peer) OpenRef(ctx context.Context, r tasklet.Ref) (*tasklet.Tasklet, error) {
	return p.tasklets.OpenRef(ctx, r)
}

// Tasklets lists the tasklets that this peer started or hosts.
func (p *Peer) Tasklets() []tasklet.Info { return p.tasklets.List() }

// Drain moves the tasklets that run here to other peers, those named, see
// [Peer.Lookup], or else those that are connected, and takes no new ones any
// more. It returns those that have moved; the error tells of those that have not.
func (p *Peer) Drain(ctx context.Context, peers ...string) ([]tasklet.ID, error) {
	var ids []p2p.ID
	for _, text := range peers {
		id, err := p.table.Lookup(ctx, text)
		if err != nil {
			return nil, fmt.Errorf("dstackless: drain: %w", err)
		}
		ids = append(ids, id)
	}
	return p.tasklets.Drain(ctx, ids...)
}

// Close shuts the peer down and waits until it is. The tasklets that run on it
// are suspended, if there is a data folder, and else end. It is idempotent.
func (p *Peer) Close() error {
	p.close.Do(func() {
		var errs []error
		if p.tasklets != nil {
			errs = append(errs, p.tasklets.Close())
		}
		if p.content != nil {
			errs = append(errs, p.content.Close())
		}
		if p.channels != nil {
			errs = append(errs, p.channels.Close())
		}
		if p.table != nil {
			errs = append(errs, p.table.Close())
		}
		if p.node != nil {
			errs = append(errs, p.node.Close())
		}
		if p.lock != nil {
			errs = append(errs, p.lock.Unlock())
		}
		p.closed = errors.Join(errs...)
	})
	return p.closed
}

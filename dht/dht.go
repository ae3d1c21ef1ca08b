package dht

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"sync"
	"time"

	kad "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/records"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/routing"
	"golang.org/x/sync/singleflight"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/p2p/quota"
)

// prefix keeps this network apart from IPFS's.
const prefix = "/dstackless"

// tableProtocol is spoken by kad-dht.
const tableProtocol p2p.Protocol = prefix + "/kad/1.0.0"

// tableStreams limits the streams that others have opened to ask: kad-dht opens
// one to each peer, keeps it for a minute, and opens another if the first fails.
var tableStreams = quota.Limits{All: 2048, Strangers: 1536, Each: 16}

// ErrClosed is returned by every call after [DHT.Close].
var ErrClosed = errors.New("dht is closed")

// A DHT is this peer's part in the table. Make it with [Start]; end it with
// [DHT.Close], before its node. Its methods may be called from several
// goroutines at once.
type DHT struct {
	node        *p2p.Node
	kad         *kad.IpfsDHT
	table       *table
	announcer   *announcer
	names       names
	withdrawals *withdrawals
	returns     network.Notifiee   // tells of peers that connect
	searches    singleflight.Group // for peers

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu     sync.Mutex // held to start work, so that Close misses none
	closed bool
	work   sync.WaitGroup

	closing  sync.Once
	closeErr error
}

// peerNames is how kad-dht writes a peer's ID in the name of a record.
var peerNames = base32.StdEncoding.WithPadding(base32.NoPadding)

// searchTimeout is how long one search for a peer may take.
const searchTimeout = 30 * time.Second

// Start joins node to the table. A nil opts is valid and means all defaults. It
// connects to nobody: the table grows by itself with the peers that the node is
// connected to, now or later.
func Start(node *p2p.Node, opts *Options) (*DHT, error) {
	o, err := opts.checked()
	if err != nil {
		return nil, err
	}
	mode := kad.ModeAutoServer
	if o.Client {
		mode = kad.ModeClient
	}
	t, w := newTable(), newWithdrawals(o.RecordTTL)
	node.Limit(tableProtocol, tableStreams)
	k, err := kad.New(t.host(node, w),
		kad.ProtocolPrefix(prefix),
		kad.AddressFilter(node.FilterAddrs), // nobody signs what the table says
		kad.Mode(mode),
		kad.DisableValues(), // peers and providers are all that's needed
		kad.ProviderDatastore(newProviders(func(name string) quota.Holder {
			id, _ := peerNames.DecodeString(name) // kad-dht has made it
			return node.Holder(p2p.ID(id))
		})),
		kad.ProviderManagerOpts(
			records.ProvideValidity(o.RecordTTL),
			records.ProviderAddrTTL(o.RecordTTL),
			records.CleanupInterval(max(o.RecordTTL/4, time.Second)),
		),
	)
	if err != nil {
		return nil, fmt.Errorf("dht: start: %w", err)
	}
	d := &DHT{node: node, kad: k, table: t, withdrawals: w, names: names{own: o.Name, pins: o.Pins}}
	d.returns = d.returning()
	d.announcer = newAnnouncer(t, o.Interval, d.provide)
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.work.Go(func() { t.callJoined(d.ctx) })
	d.work.Go(func() { d.announcer.run(d.ctx) })
	if err := d.announceOnAddrChange(); err != nil {
		d.Close()
		return nil, fmt.Errorf("dht: start: %w", err)
	}
	d.takeWithdrawals()
	d.startNaming()
	return d, nil
}

// Size returns how many peers are in the routing table. 0 is a peer alone.
func (d *DHT) Size() int { return d.kad.RoutingTable().Size() }

// Routing returns the table in libp2p's terms, for the packages of this module
// that hand it to another library. It finds and provides; it holds no values.
func (d *DHT) Routing() routing.Routing { return d.kad }

// Close leaves the table and waits for what runs: announcements, searches and
// calls of [DHT.Joined]'s functions. It may be called more than once, but not
// from such a function. A peer with a [Name] first tells the peers that are
// connected, and those that hold the record of the name, to hand out none of its
// records any more, which takes up to 3 seconds. Other records stay until they
// expire, and so do all of a peer that ends without Close.
func (d *DHT) Close() error {
	d.closing.Do(func() {
		d.mu.Lock()
		d.closed = true
		d.mu.Unlock()
		d.cancel()
		d.stopNaming()
		d.work.Wait()
		if d.names.own != "" {
			d.withdraw()
		}
		d.node.Unhandle(withdrawProtocol)
		d.node.Host().Network().StopNotify(d.returns)
		if err := d.kad.Close(); err != nil {
			d.closeErr = fmt.Errorf("dht: close: %w", err)
		}
	})
	return d.closeErr
}

// begin counts one piece of work that Close waits for, and reports whether the
// table is still open. The caller must call d.work.Done when it is.
func (d *DHT) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.work.Add(1)
	return true
}

// until returns a context that ends with ctx or with Close.
func (d *DHT) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(d.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

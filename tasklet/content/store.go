package content

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs/boxo/bitswap"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/routing"

	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/p2p/quota"
	"github.com/dstackless/dstackless/tasklet/diskspace"
)

// Errors that callers may branch on with errors.Is.
var (
	// ErrClosed is returned by every call after [Store.Close].
	ErrClosed = errors.New("store is closed")
	// ErrTooLarge is returned when content is larger than the caller allows.
	ErrTooLarge = errors.New("content is larger than allowed")
	// ErrMalformed is returned for a CID that is no file, or one whose blocks
	// contradict each other.
	ErrMalformed = errors.New("not a well-formed file")
	// ErrNotFound is returned when a block was not found before the context
	// ended; the error is also the context's.
	ErrNotFound = errors.New("no peer was found that has the content")
)

// Options configure a [Store]. The zero value, or a nil pointer, is a store in
// memory.
type Options struct {
	// Dir is the folder that keeps the blocks; it is created when missing. One
	// store per folder. Default: "", blocks live in memory as long as the store.
	Dir string

	// Limit is how many bytes the blocks may have. When something is to be
	// fetched for which there is no room, files are removed that are not in use,
	// see [Store.SetInUse]; if that is not enough, it is not fetched: [ErrFull].
	// What is added is never refused. Default: MaxDisk, or MaxMemory if Dir is "".
	Limit int64

	// Free tells how much of the disk is free, where nothing is fetched that would
	// leave less than diskspace.Reserve. Default: what the system says.
	Free diskspace.Probe
}

// searchDelay is how long a session waits for a block from the peers it is
// connected to before it asks the DHT who else has it.
const searchDelay = 200 * time.Millisecond

// A Store keeps blocks, serves them and fetches them. Make it with [Start]; end
// it with [Store.Close], before its DHT and its node. Its methods may be called
// from several goroutines at once.
type Store struct {
	node    *p2p.Node
	dht     *dht.DHT // or nil
	stock   *stock
	bitswap *bitswap.Bitswap
	online  blockservice.BlockService // the store, then the network
	offline blockservice.BlockService // the store alone
	own     blockservice.BlockService // the store, for what is added here
	release func() error              // closes what the blocks are in
	roots   *roots
	served  *quota.Pool // streams in Protocol

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	collecting sync.Mutex // held while room is made
	inVain     time.Time  // when there was none to be made; with collecting

	refusal atomic.Pointer[error] // why a block could not be kept, the last time

	mu      sync.Mutex // held to start work, so that Close misses none
	closed  bool
	inUse   func() []cid.Cid // or nil
	getting map[cid.Cid]int  // files that are being fetched, by how many calls
	work    sync.WaitGroup

	closing  sync.Once
	closeErr error
}

// Start opens a store on node, and announces in d the content that it has. A
// nil d is valid: content then comes from connected peers alone. A nil opts is
// valid and means a store in memory.
func Start(node *p2p.Node, d *dht.DHT, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	blocks, release, err := openBlocks(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("content: open the store: %w", err)
	}
	s := &Store{
		node: node, dht: d, release: release, served: quota.New(served), getting: map[cid.Cid]int{},
		stock: &stock{Blockstore: blocks, limit: o.Limit},
	}
	if s.stock.limit == 0 && o.Dir == "" {
		s.stock.limit = MaxMemory
	} else if s.stock.limit == 0 {
		s.stock.limit = MaxDisk
	}
	if o.Dir != "" {
		s.stock.floor = diskspace.NewFloor(o.Dir, o.Free)
	}
	if err := s.stock.count(context.Background()); err != nil {
		release()
		return nil, fmt.Errorf("content: open the store: %w", err)
	}
	rootsDir := ""
	if o.Dir != "" {
		rootsDir = filepath.Join(o.Dir, "roots")
		if err := os.MkdirAll(rootsDir, 0o700); err != nil {
			release()
			return nil, fmt.Errorf("content: open the store: %w", err)
		}
	}
	if s.roots, err = openRoots(rootsDir, s.announce); err != nil {
		release()
		return nil, fmt.Errorf("content: open the store: %w", err)
	}
	var finder routing.ContentDiscovery // not a typed nil, which bitswap would call
	if d != nil {
		finder = d.Routing()
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.bitswap = bitswap.New(s.ctx, bsnet.NewFromIpfsHost(boundedHost{node.Host(), node, s.ctx, newTurns(swappedOfOne)}), finder, shared{s.stock, s},
		bitswap.ProviderSearchDelay(searchDelay),
		bitswap.WithoutDuplicatedBlockStats(),
	)
	s.online = blockservice.New(shared{s.stock, s}, s.bitswap, blockservice.WithAllowlist(hashes))
	s.offline = blockservice.New(s.stock, nil, blockservice.WithAllowlist(hashes))
	s.own = blockservice.New(s.stock, s.bitswap, blockservice.WithAllowlist(hashes))
	node.Handle(Protocol, s.serve)
	return s, nil
}

// announce tells the DHT that the content root is here.
func (s *Store) announce(root cid.Cid) (stop func()) {
	if s.dht == nil {
		return func() {}
	}
	return s.dht.Announce(root)
}

// Has reports whether the block c is in the store. For the CID of a file that
// [Store.Add] or [Store.Get] returned without error, all of it is.
func (s *Store) Has(ctx context.Context, c cid.Cid) (bool, error) {
	if !s.begin() {
		return false, fmt.Errorf("content: has %s: %w", c, ErrClosed)
	}
	defer s.work.Done()
	if isEmpty(c) {
		return true, nil
	}
	s.stock.stays.RLock()
	has, err := s.stock.Has(ctx, c)
	s.stock.stays.RUnlock()
	if err != nil {
		return false, fmt.Errorf("content: has %s: %w", c, err)
	}
	return has, nil
}

// Close stops serving and fetching, and waits for the calls that run; they fail
// with [ErrClosed]. It may be called more than once.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.node.Unhandle(Protocol)
		s.cancel()
		s.work.Wait()
		s.roots.close()
		err := s.bitswap.Close()
		for _, p := range protocols() {
			s.node.Unhandle(p) // bitswap leaves its handlers
		}
		if err = errors.Join(err, s.release()); err != nil {
			s.closeErr = fmt.Errorf("content: close: %w", err)
		}
	})
	return s.closeErr
}

// protocols are the names that bitswap answers to.
func protocols() []p2p.Protocol {
	return []p2p.Protocol{
		bsnet.ProtocolBitswap, bsnet.ProtocolBitswapOneOne,
		bsnet.ProtocolBitswapOneZero, bsnet.ProtocolBitswapNoVers,
	}
}

// begin counts one piece of work that Close waits for, and reports whether the
// store is still open. The caller must call s.work.Done when it is.
func (s *Store) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(1)
	return true
}

// until returns a context that ends with ctx or with Close.
func (s *Store) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

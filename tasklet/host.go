package tasklet

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/ipfs/go-cid"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/compiler"
	"github.com/dstackless/dstackless/tasklet/content"
	"github.com/dstackless/dstackless/tasklet/diskspace"
	"github.com/dstackless/dstackless/tasklet/journal"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// DefaultMemoryLimit is how much memory a tasklet may have by default: 256 MiB.
const DefaultMemoryLimit = sandbox.DefaultMemoryLimit

// A Host is this peer's part in hosting tasklets. It is safe for concurrent
// use.
type Host struct {
	node     *p2p.Node
	self     string // the node's ID
	table    *dht.DHT
	store    *content.Store
	space    channel.Space
	compiler *compiler.Compiler
	disk     *journal.Journal // nil without a data folder
	floor    *diskspace.Floor // of that folder, or nil
	opts     Options
	log      *slog.Logger
	pages    *lru.Cache[pageKey, []byte]
	spawned  *lru.Cache[[sha256.Size]byte, cid.Cid] // CIDs of programs that were spawned here, by what they are

	ctx  context.Context // ends at Close
	stop context.CancelFunc
	wg   sync.WaitGroup

	functions map[string]*definition // by name
	lookups   *peerLookups           // of peers that programs name
	channels  atomic.Int64           // that programs have open
	parkAfter time.Duration

	run       incarnation
	begun     time.Time        // this run
	ranBefore atomic.Int64     // nanoseconds, in earlier runs
	wall      func() time.Time // this host's clock, of which others know nothing

	steps atomic.Pointer[func(step string)] // what reached calls

	mu           sync.Mutex
	closed       bool
	draining     bool
	processes    map[ID]*process // that are here, or ended here
	incoming     map[ID]*incomingMove
	partials     map[ID]*process               // whose transfer to here broke off
	departed     *simplelru.LRU[ID, departure] // of at most maxDeparted
	moves        map[moveID]outcome
	started      map[ID]*originEntry                   // by this peer
	accounts     map[string]*account                   // by peer
	lastKnown    *simplelru.LRU[ID, lastKnownHost]     // of others, found in the DHT, of at most maxSighted
	incarnations *simplelru.LRU[p2p.ID, []incarnation] // of other peers, the latest last, of at most maxHeard
	ended        *simplelru.LRU[ID, int]               // tasklets of others that ended here, and the bytes of their output, see maxEnded
	endedBytes   int
	forgotten    []ID // ended tasklets that the disk still has
	evicted      []ID // departures that the disk still has
}

// A pageKey names a page in the cache: a peer's tasklets are told nothing of the
// pages of another's.
type pageKey struct {
	origin string
	hash   pageHash
}

// cachedPagesMax is how many memory pages of 4 KiB of tasklets that were here are
// kept for their return: 64 MiB.
const cachedPagesMax = 16 << 10

const (
	// maxDeparted is how many tasklets a host tells of where they went to. Who
	// asks for another finds it by way of the peer that started it, or the DHT.
	maxDeparted = 64 << 10
	// maxSighted is how many tasklets of others a host remembers where it found
	// them. Another is looked for anew.
	maxSighted = 16 << 10
)

// cachedPagesOfOneMax is how many pages of one tasklet are put there: 16 MiB.
const cachedPagesOfOneMax = cachedPagesMax / 4

// knownProgramsMax is of how many programs that were spawned here it is known by their
// bytes what their CID is, so that they are not checked and stored again.
const knownProgramsMax = 1024

// Start makes node a host of tasklets, which use the channels of space.
// Programs come from store, and the tasklets of others are found in table.
func Start(node *p2p.Node, table *dht.DHT, store *content.Store, space channel.Space, opts *Options) (*Host, error) {
	var o Options
	if opts != nil {
		o = *opts
		o.Accept = slices.Clone(o.Accept)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Limits.defaults()
	if o.CacheDir == "" && o.DataDir != "" {
		o.CacheDir = filepath.Join(o.DataDir, "compiled")
	}
	ctx, stop := context.WithCancel(context.Background())
	h := &Host{
		node: node, self: node.ID().String(), table: table, store: store, space: space, opts: o, log: o.Logger,
		ctx: ctx, stop: stop, functions: map[string]*definition{}, lookups: newLookups(table.Lookup), parkAfter: parkDelay, wall: time.Now,
		processes: map[ID]*process{}, incoming: map[ID]*incomingMove{},
		partials: map[ID]*process{}, moves: map[moveID]outcome{}, started: map[ID]*originEntry{},
		accounts: map[string]*account{}, begun: time.Now(), run: newIncarnation(),
	}
	if err := h.open(); err != nil {
		stop()
		return nil, errors.Join(fmt.Errorf("tasklet: %w", err), h.release())
	}
	return h, nil
}

// open makes the host what it was when it was closed, and serves others.
func (h *Host) open() (err error) {
	if err := h.define(h.opts.Functions); err != nil {
		return err
	}
	h.compiler = compiler.New(h.opts.compiling())
	if h.spawned, err = lru.New[[sha256.Size]byte, cid.Cid](knownProgramsMax); err != nil {
		return err
	}
	if h.pages, err = lru.New[pageKey, []byte](cachedPagesMax); err != nil {
		return err
	}
	if h.departed, err = simplelru.NewLRU(maxDeparted, func(id ID, _ departure) { h.evicted = append(h.evicted, id) }); err != nil {
		return err
	}
	if h.lastKnown, err = simplelru.NewLRU[ID, lastKnownHost](maxSighted, nil); err != nil {
		return err
	}
	if h.ended, err = simplelru.NewLRU(maxEnded, h.dropEnded); err != nil {
		return err
	}
	if h.incarnations, err = simplelru.NewLRU[p2p.ID, []incarnation](maxHeard, nil); err != nil {
		return err
	}
	if h.opts.DataDir != "" {
		if err := h.openJournal(filepath.Join(h.opts.DataDir, "tasklets")); err != nil {
			return err
		}
	}
	h.openFloor()
	todo, err := h.restore()
	if err != nil {
		return err
	}
	h.node.Protect(h.opts.Accept...)
	h.store.SetInUse(h.programsInUse)
	h.node.Handle(Protocol, h.serve)
	for _, f := range todo {
		h.wg.Go(f)
	}
	h.wg.Go(h.expire)
	h.wg.Go(h.confirmations)
	h.wg.Go(h.greet)
	if h.disk != nil && h.opts.Checkpoint > 0 {
		h.wg.Go(func() { h.checkpoints(h.opts.Checkpoint) })
	}
	return nil
}

// openJournal opens the journal, or sets one aside that is damaged and begins
// another, if that is asked for.
func (h *Host) openJournal(dir string) (err error) {
	h.disk, err = journal.Open(dir)
	if !errors.Is(err, journal.ErrDamaged) || !h.opts.SetAsideJournal {
		return err
	}
	aside, e := journal.SetAside(dir)
	if e != nil {
		return errors.Join(err, e)
	}
	h.log.Error("journal is damaged; it was set aside, and a new one is begun", "folder", aside, "error", err)
	h.disk, err = journal.Open(dir)
	return err
}

// release gives back what the host has, when nothing runs any more.
func (h *Host) release() error {
	var errs []error
	for _, r := range h.started {
		r.out.CloseFile()
	}
	for _, p := range h.partials {
		p.engine.unload()
	}
	if h.compiler != nil {
		errs = append(errs, h.compiler.Close())
	}
	if h.disk != nil {
		h.saveUptime()
		errs = append(errs, h.disk.Close())
	}
	return errors.Join(errs...)
}

// enter reports whether the host is open. If it is, Close waits until the
// caller has called h.wg.Done.
func (h *Host) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.wg.Add(1)
	}
	return !h.closed
}

// testStep names a step of a move. Tests break links there.
func (h *Host) testStep(step string) {
	if f := h.steps.Load(); f != nil {
		(*f)(step)
	}
}

// closeTimeout is how long Close may take to suspend all tasklets.
const closeTimeout = time.Minute

// atOnce is how many tasklets are suspended at a time when a host is closed, and
// resumed when it is started. They get to the disk together.
const atOnce = 256

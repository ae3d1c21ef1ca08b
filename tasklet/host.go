// Package tasklet runs programs that move from peer to peer while they run.
//
// A tasklet is a running program with an ID, a peer that hosts it, and, while
// it is on its way, a [Continuation]. A program is an ordinary Go program,
// built with GOOS=wasip1 GOARCH=wasm: when it moves, all of it moves, every
// goroutine in the middle of what it is doing, its heap, its timers and its
// operations on channels.
//
// A program needs nothing of this module to be a tasklet. With the packages
// channel and tasklet/guest it can use channels and move itself.
package tasklet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/content"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// DefaultMemoryLimit is how much memory a tasklet may have by default: 256 MiB.
const DefaultMemoryLimit = sandbox.DefaultMemoryLimit

// Options are the settings of a [Host].
type Options struct {
	// DataDir is the folder for compiled code. Default: none; programs are
	// compiled again each time the host starts.
	DataDir string

	// Accept are the peers that may move tasklets here. Default: none.
	// Tasklets that were started here may always come back.
	Accept []p2p.ID

	// AcceptAny lets every peer move tasklets here.
	AcceptAny bool

	// MemoryLimit is the memory that each tasklet may have here, in bytes.
	// Default: [DefaultMemoryLimit].
	MemoryLimit uint64

	// Logger takes what an operator may want to know. Default: silence.
	Logger *slog.Logger
}

// A Host is this peer's part in hosting tasklets. It is safe for concurrent
// use.
type Host struct {
	node    *p2p.Node
	store   *content.Store
	space   channel.Space
	runtime *sandbox.Runtime
	opts    Options
	log     *slog.Logger
	pages   *lru.Cache[pageHash, []byte]

	ctx  context.Context // ends at Close
	stop context.CancelFunc
	wg   sync.WaitGroup

	steps atomic.Pointer[func(step string)] // what reached calls

	mu        sync.Mutex
	closed    bool
	programs  map[string]*compiled
	processes map[ID]*process // that are here, or ended here
	arriving  map[ID]bool
	departed  map[ID]departure
	moves     map[moveID]outcome
	started   map[ID]*record // by this peer
}

// pageCache is how many memory pages of 4 KiB of tasklets that were here are
// kept for their return: 64 MiB.
const pageCache = 16 << 10

// Start makes node a host of tasklets, which use the channels of space.
// Programs come from store.
func Start(node *p2p.Node, store *content.Store, space channel.Space, opts *Options) (*Host, error) {
	var o Options
	if opts != nil {
		o = *opts
		o.Accept = slices.Clone(o.Accept)
	}
	if o.MemoryLimit == 0 {
		o.MemoryLimit = DefaultMemoryLimit
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	var cache string
	if o.DataDir != "" {
		cache = filepath.Join(o.DataDir, "compiled")
	}
	runtime, err := sandbox.NewRuntime(ctx, &sandbox.Options{CacheDir: cache})
	if err != nil {
		stop()
		return nil, fmt.Errorf("tasklet: %w", err)
	}
	pages, err := lru.New[pageHash, []byte](pageCache)
	if err != nil {
		stop()
		return nil, err
	}
	h := &Host{
		node: node, store: store, space: space, runtime: runtime, opts: o, log: o.Logger, pages: pages,
		ctx: ctx, stop: stop,
		programs: map[string]*compiled{}, processes: map[ID]*process{}, arriving: map[ID]bool{},
		departed: map[ID]departure{}, moves: map[moveID]outcome{}, started: map[ID]*record{},
	}
	node.Handle(Protocol, h.serve)
	h.wg.Go(h.sweep)
	return h, nil
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

// reached names a step of a move. Tests break links there.
func (h *Host) reached(step string) {
	if f := h.steps.Load(); f != nil {
		(*f)(step)
	}
}

// Find returns the tasklet whose ID is, or alone begins with, prefix, among
// those that this peer started or hosts. The error wraps [ErrNotFound] or
// [ErrAmbiguous].
func (h *Host) Find(prefix string) (*Tasklet, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := map[ID]bool{}
	for id := range h.started {
		found[id] = strings.HasPrefix(string(id), prefix)
	}
	for id := range h.processes {
		found[id] = strings.HasPrefix(string(id), prefix)
	}
	var ids []ID
	for id, is := range found {
		if is {
			ids = append(ids, id)
		}
	}
	switch {
	case prefix == "" || len(ids) == 0:
		return nil, fmt.Errorf("%w: %q was neither started by this peer nor is it here", ErrNotFound, prefix)
	case len(ids) > 1:
		return nil, fmt.Errorf("%w: %q fits %d tasklets; give more of its digits", ErrAmbiguous, prefix, len(ids))
	}
	return &Tasklet{id: ids[0], host: h}, nil
}

// List tells of the tasklets that this peer started or hosts, oldest first.
func (h *Host) List() []Info {
	h.mu.Lock()
	var tasklets []*Tasklet
	for id := range h.started {
		tasklets = append(tasklets, &Tasklet{id, h})
	}
	for id := range h.processes {
		if h.started[id] == nil {
			tasklets = append(tasklets, &Tasklet{id, h})
		}
	}
	h.mu.Unlock()
	infos := make([]Info, len(tasklets))
	for i, t := range tasklets {
		infos[i] = t.Info()
	}
	slices.SortFunc(infos, func(a, b Info) int {
		return cmp.Or(a.Started.Compare(b.Started), strings.Compare(string(a.ID), string(b.ID)))
	})
	return infos
}

// Close ends the tasklets that are here and waits until all is quiet. It is
// idempotent.
func (h *Host) Close() error {
	h.mu.Lock()
	first := !h.closed
	h.closed = true
	var here []*process
	for _, p := range h.processes {
		here = append(here, p)
	}
	h.mu.Unlock()
	if !first {
		return nil
	}
	h.node.Unhandle(Protocol)
	h.stop()
	for _, p := range here {
		p.close()
	}
	h.wg.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, c := range h.programs {
		if c.code != nil {
			errs = append(errs, c.code.Close())
		}
	}
	return errors.Join(append(errs, h.runtime.Close())...)
}

// forwardTime is how long a host tells where a tasklet went, and keeps the
// outcome of a move or a run for those who have not asked yet.
const forwardTime = time.Hour

// sweep forgets what nobody will ask for any more.
func (h *Host) sweep() {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-ticker.C:
		}
		old := time.Now().Add(-forwardTime)
		h.mu.Lock()
		for id, d := range h.departed {
			if d.at.Before(old) {
				delete(h.departed, id)
			}
		}
		for id, o := range h.moves {
			if o.state != undecided && o.at.Before(old) {
				delete(h.moves, id)
			}
		}
		for id, p := range h.processes {
			if at := p.ended(); !at.IsZero() && at.Before(old) {
				delete(h.processes, id)
			}
		}
		h.mu.Unlock()
	}
}

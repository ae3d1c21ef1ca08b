// Package network is the space of channels that connected peers share.
//
// # How a value finds its receiver
//
// The peer whose goroutine or tasklet started an operation owns it: a send is
// done only when its owner heard from the owner of the receive that accepted
// the value. A receive accepts one value; a send is offered to one receive at
// a time.
//
// One of the peers that use a channel is its home. It queues who waits, pairs
// a send with a receive, and tells the owner of the send where to deliver. The
// value goes straight from owner to owner, or by way of the home where the two
// cannot reach each other. What the home knows is soft: its members can tell
// it again, to it or to another.
//
// The peer that opens a channel first becomes home and announces the channel's
// key; later ones find it through the distributed hash table. Homes that meet
// agree by [claim]: the loser redirects its members, which submit again what
// still waits. Operations of one peer meet there, whoever the home is, and
// nothing is encoded or sent.
//
// # Where the home goes
//
// A home that receives least while one of its members receives most makes that
// member the home, so that values go there at once. It names a successor among its
// members, who takes its place when it is lost: about a second after its
// connections broke, and seven seconds after it fell silent.
//
// # Selects and pipelines
//
// A select is a choice among operations: see the type choice for how two peers
// commit to one alternative each. Sends that nobody waits for one by one form a
// pipeline: see the type pipeline for how they keep their order.
//
// What may happen in which order to a few peers is explored in the package
// internal/model, which follows this one step by step.
package network

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/p2p/quota"
)

// Protocol is the libp2p protocol of channels.
const Protocol p2p.Protocol = "/dstackless/channel/1.1.0"

// MaxChannels is how many channels a space may have open: 65,536.
const MaxChannels = 1 << 16

// MaxPending is how many operations of one peer may wait on one channel: 4096.
const MaxPending = 4096

// A Space is this peer's part of the space of channels. It implements
// [channel.Space].
type Space struct {
	node        *p2p.Node
	dht         *dht.DHT
	log         *slog.Logger
	incarnation uint64

	ctx           context.Context // ends at Close
	stop          context.CancelFunc
	rediscoverNow chan struct{} // capacity 1
	wg            sync.WaitGroup

	mu         sync.Mutex // before the mutex of a channel
	channels   map[hash]*channelState
	lastNumber uint64 // the last channel's number
	closed     bool
	emptied    chan struct{} // closed when the last channel of a closed space is gone

	searches chan struct{} // holds a token for each channel that is looked for because a rationed view opened it

	choices     atomic.Uint64 // the last choice's number
	parkedBytes atomic.Int64  // bytes of the values that homes have parked

	sessionsMu     sync.Mutex // after the mutex of a channel
	sessions       map[p2p.ID][]*session
	dialing        map[p2p.ID]*dialing
	unacked        unackedSends
	sessionsClosed bool

	memory *quota.Pool // what is kept for other peers, in bytes

	operations sync.Pool // of *operation, for use again
}

// Start joins the space of the peers that node connects to. Channels are found
// through d.
func Start(node *p2p.Node, d *dht.DHT, options *Options) *Space {
	o := options.withDefaults()
	ctx, stop := context.WithCancel(context.Background())
	s := &Space{
		node: node, dht: d, log: o.Logger, incarnation: rand.Uint64(),
		ctx: ctx, stop: stop, rediscoverNow: make(chan struct{}, 1),
		channels: map[hash]*channelState{},
		searches: make(chan struct{}, MaxSearchesOfPrograms),
		emptied:  make(chan struct{}),
		sessions: map[p2p.ID][]*session{},
		dialing:  map[p2p.ID]*dialing{},
		unacked:  newUnackedSends(),
		memory:   newMemory(),
	}
	s.choices.Store(rand.Uint64N(1 << 62))
	node.Handle(Protocol, s.accept)
	s.spawn(s.rediscover)
	s.spawn(s.runKeepalive)
	return s
}

// Open implements [channel.Space].
func (s *Space) Open(ctx context.Context, name channel.Name) (channel.Endpoint, error) {
	return s.open(ctx, name, nil)
}

// open is Open, by way of a rationed view if there is one.
func (s *Space) open(ctx context.Context, name channel.Name, ration *rationed) (channel.Endpoint, error) {
	if err := name.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, channel.ErrClosed
	}
	key := keyOf(name)
	cs := s.channels[key]
	if cs == nil {
		if len(s.channels) >= MaxChannels {
			return nil, fmt.Errorf("%w: %d channels are open", channel.ErrLimit, MaxChannels)
		}
		s.lastNumber++
		cs = newChannelState(s, name, s.lastNumber)
		s.channels[key] = cs
		if ration != nil {
			ration.add(cs)
		}
	}
	e := &endpoint{channel: cs}
	cs.mu.Lock()
	cs.ends[e] = struct{}{}
	begun := cs.begun
	cs.mu.Unlock()
	if ration == nil && !begun {
		s.spawn(cs.findHome)
	}
	return e, nil
}

// Channels lists the open channels by name.
func (s *Space) Channels() []channel.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	infos := make([]channel.Info, 0, len(s.channels))
	for _, cs := range s.channels {
		infos = append(infos, cs.info())
	}
	slices.SortFunc(infos, func(a, b channel.Info) int { return cmp.Compare(a.Name, b.Name) })
	return infos
}

// channelsLocked returns the channels.
func (s *Space) channelsLocked() []*channelState {
	list := make([]*channelState, 0, len(s.channels))
	for _, cs := range s.channels {
		list = append(list, cs)
	}
	return list
}

func (s *Space) byKey(key hash) *channelState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channels[key]
}

// remove forgets cs unless it was opened again.
func (s *Space) remove(cs *channelState) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.gone || len(cs.ends) > 0 || cs.inFlight() {
		return false
	}
	delete(s.channels, cs.key)
	cs.leaveAll()
	if s.closed && len(s.channels) == 0 {
		close(s.emptied)
	}
	return true
}

// spawn runs f in a goroutine for which Close waits.
func (s *Space) spawn(f func()) {
	s.wg.Go(f)
}

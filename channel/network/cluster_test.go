package network_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

// A stage is what spaces are started on, again and again: nodes that know each
// other.
type stage struct {
	nodes  []*p2p.Node
	tables []*dht.DHT
}

func newStage(ctx context.Context, n int) (*stage, error) {
	st := &stage{}
	for i := range n {
		node, err := p2p.Start(&p2p.Options{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
		if err != nil {
			return st, err
		}
		st.nodes = append(st.nodes, node)
		table, err := dht.Start(node, nil)
		if err != nil {
			return st, err
		}
		st.tables = append(st.tables, table)
		for _, other := range st.nodes[:i] {
			if _, err := node.Connect(ctx, other.Addrs()[0]); err != nil {
				return st, err
			}
		}
	}
	return st, nil
}

func (st *stage) close() {
	for _, table := range st.tables {
		table.Close()
	}
	for _, node := range st.nodes {
		node.Close()
	}
}

// A play is the spaces of one workload, and what happens to them.
type play struct {
	stage   *stage
	weather *weather
	faults  sync.WaitGroup

	mu      sync.Mutex
	spaces  []*network.Space
	down    []bool
	lives   []int
	changed chan struct{} // closed, and replaced, when a peer is back
}

func (st *stage) play(peers int, w *weather) *play {
	p := &play{
		stage: st, weather: w,
		down: make([]bool, peers), lives: make([]int, peers), changed: make(chan struct{}),
	}
	w.fell = p.crash
	for at := range peers {
		p.spaces = append(p.spaces, p.start(at))
	}
	return p
}

func (p *play) start(at int) *network.Space {
	space := network.Start(p.stage.nodes[at], p.stage.tables[at], nil)
	space.Tap(func(s p2p.Stream) p2p.Stream {
		from := -1
		for i, node := range p.stage.nodes {
			if node.ID() == s.Conn().RemotePeer() {
				from = i
			}
		}
		return newTap(s, p.weather, from, at)
	})
	return space
}

// crash has a peer crash soon, and start again.
func (p *play) crash(at int) {
	p.faults.Go(func() {
		p.mu.Lock()
		if p.down[at] {
			p.mu.Unlock()
			return
		}
		p.down[at] = true
		space := p.spaces[at]
		p.mu.Unlock()
		space.Crash()
		space = p.start(at)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.down[at], p.spaces[at] = false, space
		p.lives[at]++
		close(p.changed)
		p.changed = make(chan struct{})
	})
}

// at returns the space of a peer, as soon as it runs, and which incarnation of it that
// is.
func (p *play) at(ctx context.Context, at int) (*network.Space, int, error) {
	for {
		p.mu.Lock()
		down, space, life, changed := p.down[at], p.spaces[at], p.lives[at], p.changed
		p.mu.Unlock()
		if !down {
			return space, life, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// calm ends all faults.
func (p *play) calm() {
	p.weather.clear()
	p.faults.Wait()
}

func (p *play) close() {
	p.calm()
	var closing sync.WaitGroup
	for _, space := range p.spaces {
		closing.Go(func() { space.Close() })
	}
	closing.Wait()
}

// String tells how each peer sees its channels, for when something is stuck.
func (p *play) String() (s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, space := range p.spaces {
		s += fmt.Sprintf("\n%d in life %d: %s", at, p.lives[at], space.Describe())
	}
	return s
}

package network

import (
	"context"
	"sync"

	"github.com/dstackless/dstackless/channel"
)

const (
	// MaxSearchesOfProgram is how many channels that one rationed view opened
	// are looked for at a time: 4. Others that it opened wait for their turn.
	MaxSearchesOfProgram = 4
	// MaxSearchesOfPrograms is how many are looked for at a time because any
	// rationed view opened them: 128.
	MaxSearchesOfPrograms = 128
)

// Rationed returns a view of the space for one program of others. It is the same
// space. Channels that are opened by way of it are looked for a few at a time, see
// [MaxSearchesOfProgram], so that a program which opens thousands does not make
// its host search for all of them at once. Until its turn comes, a channel joins
// other peers that look for it, and does not look for them. A channel that the
// peer itself opens, by way of the space, is looked for at once.
func (s *Space) Rationed() channel.Space { return &rationed{Space: s} }

type rationed struct {
	*Space
	mu        sync.Mutex
	waiting   []*channelState
	searching int // goroutines
}

// Open implements [channel.Space].
func (r *rationed) Open(ctx context.Context, name channel.Name) (channel.Endpoint, error) {
	return r.open(ctx, name, r)
}

// add has cs looked for when its turn comes.
func (r *rationed) add(cs *channelState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, cs)
	if r.searching < MaxSearchesOfProgram {
		r.searching++
		r.spawn(r.search)
	}
}

// next returns the channel whose turn it is, or nil.
func (r *rationed) next() *channelState {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		r.waiting = nil
		r.searching--
		return nil
	}
	cs := r.waiting[0]
	r.waiting = r.waiting[1:]
	return cs
}

func (r *rationed) search() {
	for cs := r.next(); cs != nil; cs = r.next() {
		r.searches <- struct{}{}
		cs.findHome()
		<-r.searches
	}
}

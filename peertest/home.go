package peertest

import (
	"context"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// Home waits until all peers that have the channel open take the same one for
// its home, and returns which one that is; -1 stands for a peer that is not of
// this network, or that does not run. It fails if ctx ends first, and says who
// takes whom for the home.
func (nw *Network) Home(ctx context.Context, name channel.Name) (int, error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		views := map[int]string{}
		homes := map[string]bool{}
		for i, nd := range nw.nodes {
			if nd.running() == nil || nd.current() == nil {
				continue
			}
			for _, c := range nd.current().Channels() {
				if c.Name == name {
					views[i], homes[c.Home] = c.Home, true
				}
			}
		}
		if len(homes) == 1 && !homes[""] {
			for id := range homes {
				return nw.index(id), nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return -1, fmt.Errorf("peertest: peers disagree about the home of %q: %v: %w", string(name), views, ctx.Err())
		}
	}
}

// index returns which running peer has the ID, or -1.
func (nw *Network) index(id string) int {
	for i, nd := range nw.nodes {
		if nd.running() != nil && nd.current() != nil && nd.current().ID() == id {
			return i
		}
	}
	return -1
}

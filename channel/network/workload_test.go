package network_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
)

var (
	seeds     = flag.Int("seeds", 20, "how many random workloads TestHistories runs")
	firstSeed = flag.Uint64("seed", 0, "the seed of the first workload, 0 for a random one")
)

// TestHistories checks the rules of channels on what random workloads recorded.
// A seed decides over the workload, not over the network's timing: run one that
// failed a few times, with -seed N -seeds 1 -count 20.
func TestHistories(t *testing.T) {
	first := *firstSeed
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	}
	t.Logf("seeds %d to %d", first, first+uint64(*seeds)-1)
	room := make(chan struct{}, 6) // most of the time they wait
	var all sync.WaitGroup
	for i := range *seeds {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			seed := first + uint64(i)
			start := time.Now()
			what, h, err := workload(t, seed)
			if err != nil {
				t.Errorf("seed %d: %v", seed, err)
				return
			}
			for _, v := range h.violations() {
				t.Errorf("seed %d (%s): %s", seed, what, v)
			}
			t.Logf("seed %d: %s: %v in %v", seed, what, h, time.Since(start).Round(time.Millisecond))
		})
	}
	all.Wait()
}

// workload has random senders and receivers at random peers use one channel,
// while contexts end, links are cut and peers close their spaces.
func workload(t *testing.T, seed uint64) (what string, h *history, err error) {
	r := rand.New(rand.NewPCG(seed, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var (
		name   = channel.Name(fmt.Sprint("history ", seed))
		cuts   = r.IntN(3) * 4 // in a hundred sends
		closes = r.IntN(2)     // in a hundred sends, of all peers but one
		hurry  = r.IntN(3) * 15
		size   = []int{0, 0, 5000, 200_000}[r.IntN(4)]
		each   = 20 + r.IntN(60)
		peers  []*peer
	)
	for range 2 + r.IntN(3) {
		p, err := newPeer("/ip4/127.0.0.1/tcp/0")
		if err != nil {
			return "", nil, err
		}
		defer p.close()
		if len(peers) > 0 {
			if _, err := p.node.Connect(ctx, peers[0].node.Addrs()[0]); err != nil {
				return "", nil, err
			}
		}
		peers = append(peers, p)
	}
	what = fmt.Sprintf("%d peers, %d each of %d bytes, cuts %d%%, cancelled %d%%, closes %d%%", len(peers), each, size, cuts, hurry, closes)

	h = newHistory()
	var senders, receivers, closing sync.WaitGroup
	stop, finish := context.WithCancel(ctx)
	defer finish()
	var id int
	for at, p := range peers {
		c, err := channel.Open[item](ctx, p, name)
		if err != nil {
			return what, nil, err
		}
		// Peers that do only one thing have to do it with others.
		sending, receiving := r.IntN(3), r.IntN(3)
		if at == 0 {
			sending, receiving = 0, receiving+1
		} else if at == 1 {
			sending++
		}
		for range sending {
			id++
			sender, r := id, rand.New(rand.NewPCG(seed, uint64(1000+id)))
			senders.Go(func() {
				for seq := range each {
					if r.IntN(100) < cuts {
						a, b := r.IntN(len(peers)), r.IntN(len(peers))
						peers[a].node.Host().Network().ClosePeer(peers[b].node.ID())
					}
					if at > 0 && r.IntN(100) < closes {
						closing.Go(func() { p.Space.Close() })
					}
					// The last receivers may be gone: nobody waits forever.
					limit := 2 * time.Second
					if r.IntN(100) < hurry {
						limit = time.Duration(r.IntN(3000)) * time.Microsecond
					}
					ctx, cancel := context.WithTimeout(ctx, limit)
					v := value{sender, seq}
					err := c.Send(ctx, item{v, make([]byte, size)})
					cancel()
					h.send(v, err)
					if errors.Is(err, channel.ErrClosed) {
						return
					}
				}
			})
		}
		for range receiving {
			id++
			receiver, r := id, rand.New(rand.NewPCG(seed, uint64(1000+id)))
			receivers.Go(func() {
				for stop.Err() == nil {
					ctx, cancel := stop, context.CancelFunc(func() {})
					if r.IntN(100) < hurry {
						ctx, cancel = context.WithTimeout(stop, time.Duration(r.IntN(3000))*time.Microsecond)
					}
					v, err := c.Receive(ctx)
					cancel()
					switch {
					case err == nil:
						h.receive(receiver, v.Value)
					case errors.Is(err, channel.ErrClosed):
						return
					case ctx.Err() == nil:
						t.Errorf("seed %d: received %v", seed, err)
						return
					}
				}
			})
		}
	}
	senders.Wait()
	finish()
	receivers.Wait()
	closing.Wait()
	if ctx.Err() != nil {
		err = errors.New("it took too long")
	}
	return what, h, err
}

// An item is a value of some weight.
type item struct {
	Value  value
	Weight []byte
}

package peertest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/history"
	"github.com/dstackless/dstackless/peertest"
)

// TestChurn has a third of the peers leave, die and come back all the time.
// Channels between the others must go on, and whoever comes must find them.
func TestChurn(t *testing.T) {
	peers, lasting := 30, 30*time.Second
	if raceDetector {
		peers = 15
	}
	if *long {
		lasting = 20 * time.Minute
	}
	synctest.Test(t, func(t *testing.T) { churn(t, peers, lasting) })
}

const (
	// patience is how long a value may take while peers come and go.
	patience = time.Minute
	channels = 5
)

func churn(t *testing.T, n int, lasting time.Duration) {
	nw := peertest.New(t, n, &peertest.Options{Seed: *firstSeed, Simulated: true, Latency: 20 * time.Millisecond, Sparse: true})
	steady := n * 2 / 3
	var histories [channels]history.History[string]
	ctx, end := context.WithCancel(t.Context())
	over, stop := context.WithTimeout(ctx, lasting)
	defer stop()

	var senders, receivers, others sync.WaitGroup
	var lives, values, longest atomic.Int64
	for k := range channels {
		h := &histories[k]
		from, to := open(t, nw.Peer(k), named(k)), open(t, nw.Peer(steady-1-k), named(k))
		receivers.Go(func() {
			for ctx.Err() == nil {
				h.Receive(ctx, fmt.Sprint("receiver ", k), to.Receive)
			}
		})
		senders.Go(func() {
			for seq := 0; over.Err() == nil; seq++ {
				ctx, cancel := context.WithTimeout(ctx, patience)
				start := time.Now()
				if err := h.Send(ctx, fmt.Sprint("sender ", k), fmt.Sprintf("%d.%d", k, seq), from.Send); err != nil {
					t.Errorf("channel %d, value %d, after %v: %v", k, seq, time.Since(start), err)
				}
				cancel()
				values.Add(1)
				storeMax(&longest, int64(time.Since(start)))
				rest(over, time.Second)
			}
		})
	}
	for i := steady; i < n; i++ {
		r := rand.New(rand.NewPCG(*firstSeed, uint64(i)))
		others.Go(func() {
			for life := 0; ; life++ {
				rest(over, time.Duration(r.IntN(int(20*time.Second))))
				if over.Err() != nil {
					return
				}
				if r.IntN(2) == 0 {
					nw.Kill(i)
				} else {
					nw.Leave(i)
				}
				rest(over, time.Duration(r.IntN(int(10*time.Second))))
				nw.Restart(i)
				lives.Add(1)
				visit(t, nw, i, life, r.IntN(steady), &histories, r.IntN(channels))
			}
		})
	}
	others.Wait()
	senders.Wait()
	end()
	receivers.Wait()
	for k := range histories {
		for _, v := range histories[k].Violations() {
			t.Errorf("channel %d: %v", k, v)
		}
	}
	t.Logf("%d lives, %d values in %v, the slowest in %v", lives.Load(), values.Load(), lasting, time.Duration(longest.Load()))
}

// visit has peer i, which has just come, send a value on a channel that there
// is, and another on one of its own, to a peer that has been there.
func visit(t *testing.T, nw *peertest.Network, i, life, other int, histories *[channels]history.History[string], k int) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	who := fmt.Sprintf("peer %d, life %d", i, life)
	start := time.Now()
	if err := histories[k].Send(ctx, who, who, open(t, nw.Peer(i), named(k)).Send); err != nil {
		t.Errorf("%s: channel %d, after %v: %v", who, k, time.Since(start), err)
	}
	own := channel.Name(who)
	if err := exchange(t, open(t, nw.Peer(i), own), open(t, nw.Peer(other), own), patience); err != nil {
		t.Errorf("%s: a new name, with peer %d: %v", who, other, err)
	}
}

func named(k int) channel.Name { return channel.Name(fmt.Sprint("channel ", k)) }

func storeMax(to *atomic.Int64, v int64) {
	for old := to.Load(); v > old && !to.CompareAndSwap(old, v); old = to.Load() {
	}
}

// rest waits for d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

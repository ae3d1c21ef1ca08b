package peertest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/history"
	"github.com/dstackless/dstackless/peertest"
	"github.com/dstackless/dstackless/tasklet"
)

// Operations of honest peers.
const (
	opSend      = "send"       // a value goes from one peer to another by way of the victim
	opSendLied  = "send, lied" // likewise, on the channel that has the liar as a member
	opLeave     = "move away"  // a tasklet moves to the victim
	opReturn    = "move back"  // and back
	opFetch     = "fetch"      // a program of which the victim has not heard comes to it and runs there
	sendPause   = 10 * time.Millisecond
	movePause   = 50 * time.Millisecond
	honestPeers = 8
	talks       = honestPeers / 2
)

// honestPatience is how long one honest operation may take at most.
const honestPatience = 2 * time.Minute

// fetchesFrom is how long a swarm must attack for new programs to be fetched, each of
// which takes seconds to compile.
const fetchesFrom = 30 * time.Second

// A crowd is eight honest peers that do what they do with one victim.
type crowd struct {
	t      *testing.T
	peers  []*dstackless.Peer
	victim *peertest.Process
	wasm   []byte // program journey

	from, to  []*channel.Channel[string]
	histories [talks]history.History[string]

	mu    sync.Mutex
	times map[string][]time.Duration
}

// startCrowd starts the peers. Compiled is a folder that has the program's code.
func startCrowd(t *testing.T, wasm []byte, compiled string) *crowd {
	t.Helper()
	c := &crowd{t: t, wasm: wasm}
	for range honestPeers {
		p, err := dstackless.Start(t.Context(), &dstackless.Options{
			DataDir: dataDir(t, compiled), Listen: []string{"/ip4/127.0.0.1/tcp/0"},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		c.peers = append(c.peers, p)
	}
	return c
}

// dataDir is a new data folder with compiled code.
func dataDir(t *testing.T, compiled string) string {
	t.Helper()
	dir := t.TempDir()
	to := filepath.Join(dir, "compiled")
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(compiled)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// meet connects the peers to the victim, which is the first member of their
// channels, and so their home.
func (c *crowd) meet(victim *peertest.Process) {
	c.t.Helper()
	c.victim = victim
	for _, p := range c.peers {
		if _, err := p.Connect(c.t.Context(), victim.Addrs()[0]); err != nil {
			c.t.Fatal(err)
		}
	}
	for k := range talks {
		open(c.t, victim, talkName(k))
		c.from = append(c.from, open(c.t, c.peers[k], talkName(k)))
		c.to = append(c.to, open(c.t, c.peers[talks+k], talkName(k)))
	}
}

func talkName(k int) channel.Name { return channel.Name(fmt.Sprint("talk ", k)) }

// live has the peers do what they do until over ends, and what they have begun is
// done. It returns how long each operation took, by its kind. Lied says that there
// is a liar on the first channel.
func (c *crowd) live(over context.Context, phase string, lied bool) map[string][]time.Duration {
	c.times = map[string][]time.Duration{}
	var working, receiving sync.WaitGroup
	heard, stop := context.WithCancel(c.t.Context())
	defer stop()
	for k := range talks {
		receiving.Go(func() {
			for heard.Err() == nil {
				c.histories[k].Receive(heard, fmt.Sprint("receiver ", k), c.to[k].Receive)
			}
		})
		working.Go(func() {
			kind := opSend
			if k == 0 && lied {
				kind = opSendLied
			}
			for seq := 0; seq == 0 || over.Err() == nil; seq++ {
				c.send(k, fmt.Sprint(phase, " ", k, ".", seq), kind)
				rest(over, sendPause)
			}
		})
	}
	for i := range c.peers {
		working.Go(func() {
			for n := 0; n == 0 || over.Err() == nil; n++ {
				c.travel(i, 2+(7*n+i)%100)
				rest(over, movePause)
			}
		})
	}
	working.Go(func() {
		for n := 0; *swarmTime >= fetchesFrom && (n == 0 || over.Err() == nil); n++ {
			c.fetch(n % honestPeers)
			rest(over, movePause)
		}
	})
	working.Wait()
	stop()
	receiving.Wait()
	return c.times
}

// took notes how long an operation took.
func (c *crowd) took(kind string, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times[kind] = append(c.times[kind], time.Since(since))
}

func (c *crowd) send(k int, value, kind string) {
	ctx, cancel := context.WithTimeout(c.t.Context(), honestPatience)
	defer cancel()
	start := time.Now()
	if err := c.histories[k].Send(ctx, fmt.Sprint("sender ", k), value, c.from[k].Send); err != nil {
		c.t.Errorf("%q, sent on channel %d, after %v: %v", value, k, time.Since(start), err)
	}
	c.took(kind, start)
}

// travel has a tasklet of peer i move to the victim and back, where it ends.
func (c *crowd) travel(i, status int) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*honestPatience)
	defer cancel()
	home := c.peers[i]
	tl, err := home.Spawn(ctx, c.wasm, fmt.Sprint(status))
	if err != nil {
		c.t.Errorf("peer %d: start a tasklet: %v", i, err)
		return
	}
	if !c.move(ctx, i, tl, c.victim.ID(), opLeave) || !c.move(ctx, i, tl, home.ID(), opReturn) {
		return
	}
	if got, err := tl.Wait(ctx); got != status || err != nil {
		c.t.Errorf("peer %d: tasklet %s ended with %d, %v; want %d", i, tl.ID(), got, err, status)
	}
}

// move moves a tasklet, and tries again if that fails: the tasklet is where it was
// then.
func (c *crowd) move(ctx context.Context, i int, tl *tasklet.Tasklet, to, kind string) bool {
	start := time.Now()
	for {
		err := tl.Move(ctx, to)
		if err == nil {
			c.took(kind, start)
			return true
		}
		if ctx.Err() != nil || errors.Is(err, tasklet.ErrExited) {
			status, why := tl.Wait(ctx)
			c.t.Errorf("peer %d: %s, after %v: %v; it ended with %d, %v", i, kind, time.Since(start), err, status, why)
			return false
		}
		c.t.Logf("peer %d: %s: %v", i, kind, err)
		rest(ctx, movePause)
	}
}

// fetch has a tasklet of peer i, of a new program, move to the victim. There it is
// killed.
func (c *crowd) fetch(i int) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*honestPatience)
	defer cancel()
	nonce := make([]byte, 8)
	rand.Read(nonce)
	section := slices.Concat([]byte{0, 6 + 8, 5}, []byte("nonce"), nonce) // a custom one
	tl, err := c.peers[i].Spawn(ctx, slices.Concat(c.wasm, section), "2")
	if err != nil {
		c.t.Errorf("peer %d: start a new program: %v", i, err)
		return
	}
	if c.move(ctx, i, tl, c.victim.ID(), opFetch) {
		if err := tl.Kill(ctx); err != nil {
			c.t.Errorf("peer %d: kill a tasklet at the victim: %v", i, err)
		}
	}
}

// check checks the histories of the channels: each value that was sent was received,
// once, and in its order.
func (c *crowd) check() {
	for k := range c.histories {
		h := &c.histories[k]
		for _, v := range h.Violations() {
			c.t.Errorf("channel %d: %v", k, v)
		}
		c.t.Logf("channel %d: %v", k, h)
	}
}

// percentile99 is the time that 99 of 100 operations took at most.
func percentile99(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[(len(times)*99+99)/100-1]
}

package tasklet_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/peertest/guests"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/content"
)

var (
	both = []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}
	tcp  = []string{"/ip4/127.0.0.1/tcp/0"}
)

// A peer is all that a host of tasklets stands on.
type peer struct {
	node  *p2p.Node
	table *dht.DHT
	store *content.Store
	space *network.Space
	*tasklet.Host
}

func (p *peer) id() string { return p.node.ID().String() }

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// cache keeps compiled programs for all hosts of a test run.
var cache string

func TestMain(m *testing.M) {
	tasklet.RunCompiler()
	if os.Getenv(beProcess) != "" {
		os.Exit(serveProcess())
	}
	// Tests that kill peers wait, most of the time, for those that do not come back.
	flag.Set("test.parallel", "36")
	dir, err := os.MkdirTemp("", "tasklet")
	if err != nil {
		panic(err)
	}
	cache = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		os.RemoveAll(dir)
		os.Exit(status)
	}))
}

func startPeer(t testing.TB, listen []string, opts *tasklet.Options) *peer {
	t.Helper()
	if opts == nil {
		opts = &tasklet.Options{}
	}
	opts.CacheDir = cache
	p := must[*peer](t)(newPeer("", listen, opts))
	t.Cleanup(p.close)
	return p
}

// newPeer starts a peer that keeps its key and programs in dir, or nowhere.
func newPeer(dir string, listen []string, opts *tasklet.Options) (_ *peer, err error) {
	p := &peer{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.node, err = p2p.Start(&p2p.Options{DataDir: dir, Listen: listen}); err != nil {
		return nil, err
	}
	if p.table, err = dht.Start(p.node, nil); err != nil {
		return nil, err
	}
	var blocks string
	if dir != "" {
		blocks = filepath.Join(dir, "blocks")
	}
	if p.store, err = content.Start(p.node, p.table, &content.Options{Dir: blocks}); err != nil {
		return nil, err
	}
	p.space = network.Start(p.node, p.table, nil)
	p.Host, err = tasklet.Start(p.node, p.table, p.store, p.space, opts)
	return p, err
}

func (p *peer) close() {
	if p.Host != nil {
		p.Host.Close()
	}
	if p.store != nil {
		p.store.Close()
	}
	if p.space != nil {
		p.space.Close()
	}
	if p.table != nil {
		p.table.Close()
	}
	if p.node != nil {
		p.node.Close()
	}
}

// startPeers starts n peers that accept each other's tasklets and are
// connected.
func startPeers(t testing.TB, n int, listen []string) []*peer {
	t.Helper()
	var peers []*peer
	for range n {
		p := startPeer(t, listen, &tasklet.Options{AcceptAny: true})
		for _, other := range peers {
			must[p2p.ID](t)(p.node.Connect(t.Context(), other.node.Addrs()[0]))
		}
		peers = append(peers, p)
	}
	return peers
}

var builds sync.Map // func() ([]byte, error), by program

// build builds a program from testdata, once.
func build(t testing.TB, name string) []byte {
	t.Helper()
	once, _ := builds.LoadOrStore(name, sync.OnceValues(func() ([]byte, error) {
		return guests.Build("testdata/"+name, cache)
	}))
	return must[[]byte](t)(once.(func() ([]byte, error))())
}

// patience is how long a test waits for what must come, however busy the machine.
const patience = 5 * time.Minute

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// tell says a word to the program that waits for it on a channel.
func tell(ctx context.Context, t testing.TB, p *peer, name channel.Name) {
	t.Helper()
	if err := open(t, p, name).Send(ctx, 0); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, p *peer, name channel.Name) *channel.Channel[int] {
	t.Helper()
	return must[*channel.Channel[int]](t)(channel.Open[int](t.Context(), p.space, name))
}

// look returns what this peer knows of a tasklet.
func look(t testing.TB, tl *tasklet.Tasklet) tasklet.Info {
	t.Helper()
	return must[tasklet.Info](t)(tl.Info(t.Context()))
}

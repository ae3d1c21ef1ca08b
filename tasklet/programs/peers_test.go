package programs_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/content"
)

var (
	long = flag.Bool("long", false, "run all the programs, not just a few")
	seed = flag.Uint64("seed", 0, "seed of the moments of moves; 0 stands for a new one")
)

// memoryLimit is what a tasklet may have: some tests of the standard library use
// much.
const memoryLimit = 1 << 30

// workdir keeps programs and compiled code for the peers of all tests:
// compiling a test of the standard library takes some seconds.
var workdir string

func TestMain(m *testing.M) {
	tasklet.RunCompiler()
	flag.Parse()
	var err error
	if workdir, err = os.MkdirTemp("", "programs"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		os.RemoveAll(workdir)
		os.Exit(status)
	}))
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// A peer is a host of tasklets.
type peer struct {
	node *p2p.Node
	*tasklet.Host
}

// startPeers starts n peers that accept each other's tasklets and are
// connected.
func startPeers(t *testing.T, n int) []*peer {
	t.Helper()
	var peers []*peer
	for range n {
		node := must[*p2p.Node](t)(p2p.Start(&p2p.Options{Listen: []string{"/ip4/127.0.0.1/tcp/0"}}))
		table := must[*dht.DHT](t)(dht.Start(node, nil))
		store := must[*content.Store](t)(content.Start(node, table, nil))
		space := network.Start(node, table, nil)
		host := must[*tasklet.Host](t)(tasklet.Start(node, table, store, space, &tasklet.Options{
			CacheDir: filepath.Join(workdir, "compiled"), AcceptAny: true, Limits: tasklet.Limits{Memory: memoryLimit},
		}))
		t.Cleanup(func() {
			host.Close()
			store.Close()
			space.Close()
			table.Close()
			node.Close()
		})
		for _, other := range peers {
			must[p2p.ID](t)(node.Connect(t.Context(), other.node.Addrs()[0]))
		}
		peers = append(peers, &peer{node, host})
	}
	return peers
}

package p2p_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/p2p"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}

// start starts a node on loopback and closes it at the end of the test.
func start(t testing.TB, listen ...string) *p2p.Node {
	t.Helper()
	if len(listen) == 0 {
		listen = loopback
	}
	n, err := p2p.Start(&p2p.Options{Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// within returns a context that no test on loopback should outlive.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func connect(t testing.TB, from, to *p2p.Node) {
	t.Helper()
	id, err := from.Connect(within(t), to.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	if id != to.ID() {
		t.Fatalf("connected to %s, want %s", id, to.ID())
	}
}

func TestDefaults(t *testing.T) {
	// A test sends no packet to whatever network it runs in.
	n, err := p2p.Start(&p2p.Options{NoLAN: true, NoPortMapping: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	var quic, tcp bool
	for _, a := range n.Addrs() {
		if !strings.HasSuffix(a, "/p2p/"+n.ID().String()) {
			t.Errorf("address %s doesn't end in the node's ID", a)
		}
		if strings.HasPrefix(a, "/ip4/127.0.0.1/") {
			quic = quic || strings.Contains(a, "/quic-v1/")
			tcp = tcp || strings.Contains(a, "/tcp/")
		}
		if strings.Contains(a, "/ip4/0.0.0.0/") || strings.Contains(a, "/udp/0/") || strings.Contains(a, "/tcp/0/") {
			t.Errorf("address %s is not resolved", a)
		}
	}
	if !quic || !tcp {
		t.Errorf("no QUIC or no TCP on loopback: %v", n.Addrs())
	}
}

func TestListenErrors(t *testing.T) {
	first := start(t, "/ip4/127.0.0.1/tcp/0")
	taken := strings.Split(first.Addrs()[0], "/p2p/")[0]
	for name, c := range map[string]struct{ addr, want string }{
		"malformed":   {"127.0.0.1:4001", "listen address"},
		"transport":   {"/ip4/127.0.0.1/tcp/0/ws", "only /udp/PORT/quic-v1"},
		"taken":       {taken, "address already in use"},
		"not its own": {"/ip4/192.0.2.77/tcp/0", "listen on"},
	} {
		t.Run(name, func(t *testing.T) {
			// One good address must not hide a bad one.
			n, err := p2p.Start(&p2p.Options{Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1", c.addr}})
			if err == nil {
				n.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want %q in it", err, c.want)
			}
		})
	}
}

func TestClose(t *testing.T) {
	a, b := start(t), start(t)
	connect(t, b, a)
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Connect(within(t), a.Addrs()[0]); !errors.Is(err, p2p.ErrClosed) {
		t.Errorf("Connect: %v, want ErrClosed", err)
	}
	if _, err := b.Open(within(t), a.ID(), echo); !errors.Is(err, p2p.ErrClosed) {
		t.Errorf("Open: %v, want ErrClosed", err)
	}
	b.Watch(func(p2p.ID, bool) { t.Error("told of a peer after Close") })()
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		n, err := p2p.Start(&p2p.Options{Listen: loopback})
		if err != nil {
			b.Fatal(err)
		}
		n.Close()
	}
}

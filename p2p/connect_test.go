package p2p_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/p2p"
)

const stranger = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo"

func TestConnect(t *testing.T) {
	for _, listen := range loopback {
		t.Run(listen, func(t *testing.T) {
			a, b := start(t, listen), start(t, listen)
			connect(t, b, a)
			connect(t, b, a) // nothing to do

			got := b.Peers()
			if len(got) != 1 || got[0].ID != a.ID() || got[0].Inbound || got[0].Relayed || got[0].Since.IsZero() ||
				got[0].Addr+"/p2p/"+a.ID().String() != a.Addrs()[0] {
				t.Errorf("b's peers: %+v, want a", got)
			}
			text, err := json.Marshal(got[0])
			if err != nil || !strings.Contains(string(text), a.ID().String()) {
				t.Errorf("as JSON: %s, %v", text, err)
			}
			if got := a.Peers(); len(got) != 1 || got[0].ID != b.ID() || !got[0].Inbound {
				t.Errorf("a's peers: %+v, want b", got)
			}
		})
	}
}

func TestConnectErrors(t *testing.T) {
	a, b := start(t), start(t)
	gone := start(t)
	goneAddr := gone.Addrs()[0]
	gone.Close()
	at, _, _ := strings.Cut(a.Addrs()[0], "/p2p/")
	for name, c := range map[string]struct {
		addr string
		is   error
		want string
	}{
		"malformed":  {"192.0.2.1:4001", nil, "is not a multiaddr"},
		"no peer":    {at, nil, "does not say which peer"},
		"no address": {"/p2p/" + stranger, nil, "not where it is"},
		"itself":     {b.Addrs()[0], p2p.ErrSelf, "itself"},
		"gone":       {goneAddr, p2p.ErrUnreachable, "cannot be reached"},
		"another":    {at + "/p2p/" + stranger, p2p.ErrUnreachable, "another peer answers there, " + a.ID().String()},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.Connect(within(t), c.addr)
			if err == nil {
				t.Fatal("no error")
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error %q is not %q", err, c.is)
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want %q in it and one line", err, c.want)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := b.Connect(ctx, a.Addrs()[0]); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want the context's", err)
		}
	})
}

func TestConnectAfterFailure(t *testing.T) {
	a := start(t, "/ip4/127.0.0.1/tcp/0")
	b := start(t)
	at, _, _ := strings.Cut(a.Addrs()[0], "/p2p/")
	dir := t.TempDir()
	again := func() *p2p.Node {
		n, err := p2p.Start(&p2p.Options{DataDir: dir, Listen: []string{at}})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	a.Close()
	peer := again()
	addr := peer.Addrs()[0]
	peer.Close()
	if _, err := b.Connect(within(t), addr); !errors.Is(err, p2p.ErrUnreachable) {
		t.Fatalf("error %v, want ErrUnreachable", err)
	}
	peer = again()
	defer peer.Close()
	if _, err := b.Connect(within(t), addr); err != nil {
		t.Errorf("the peer is back: %v", err)
	}
}

func TestAddrs(t *testing.T) {
	a, b := start(t), start(t)
	if got := b.AddrsOf(a.ID()); len(got) != 0 {
		t.Fatalf("addresses from nowhere: %v", got)
	}
	b.AddAddrs(a.ID(), []string{
		"nonsense",
		"/ip4/127.0.0.1/tcp/1/p2p/" + stranger,
		"/p2p/" + a.ID().String(),
		"/ip4/127.0.0.1/tcp/1/" + strings.Repeat("x", 1000),
		a.Addrs()[0],
	})
	want, _, _ := strings.Cut(a.Addrs()[0], "/p2p/")
	if got := b.AddrsOf(a.ID()); len(got) != 1 || got[0] != want {
		t.Errorf("addresses %v, want %s alone", got, want)
	}

	many := make([]string, 100)
	for i := range many {
		many[i] = "/ip4/127.0.0.1/tcp/" + strconv.Itoa(1+i)
	}
	id, err := p2p.ParseID(stranger)
	if err != nil {
		t.Fatal(err)
	}
	b.AddAddrs(id, many)
	if got := len(b.AddrsOf(id)); got != 16 {
		t.Errorf("%d addresses were kept of 100, want 16", got)
	}
	b.AddAddrs("not an ID", []string{want})
	b.AddAddrs(b.ID(), []string{"/ip4/192.0.2.1/tcp/1"})
	for _, own := range b.AddrsOf(b.ID()) {
		if strings.Contains(own, "192.0.2.1") {
			t.Errorf("another's word on the node's own addresses was taken: %s", own)
		}
	}
}

func TestParseID(t *testing.T) {
	if id, err := p2p.ParseID(stranger); err != nil || id.String() != stranger {
		t.Errorf("ParseID: %v, %v", id, err)
	}
	for _, text := range []string{"", "peer", stranger[:20], stranger + "x"} {
		if _, err := p2p.ParseID(text); err == nil || !strings.Contains(err.Error(), "p2p: ") {
			t.Errorf("ParseID(%q): error %v", text, err)
		}
	}
}

package network_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/peertest"
)

// settled waits until the peers take the same one for the home of a channel, and
// returns its ID.
func settled(ctx context.Context, t testing.TB, name channel.Name, peers ...*dstackless.Peer) string {
	t.Helper()
	for {
		homes := map[string]bool{}
		for _, p := range peers {
			for _, c := range p.Channels() {
				if c.Name == name {
					homes[c.Home] = true
				}
			}
		}
		if len(homes) == 1 && !homes[""] {
			for home := range homes {
				return home
			}
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("peers disagree about the home of %q: %v", name, homes)
		}
	}
}

// A home that dies, or falls silent, is replaced in time, and by the one who is
// its successor: the others need not find each other first.
func TestHomeIsReplaced(t *testing.T) {
	for _, test := range []struct {
		how   string
		limit time.Duration
		fault func(nw *peertest.Network, home int)
	}{
		{"dies", 2 * time.Second, func(nw *peertest.Network, home int) { nw.Kill(home) }},
		{"falls silent", 10 * time.Second, func(nw *peertest.Network, home int) {
			for i := range nw.Len() {
				if i != home {
					nw.Mute(i, home)
				}
			}
		}},
	} {
		t.Run(test.how, func(t *testing.T) {
			ctx := within(t, 60*time.Second)
			nw := peertest.New(t, 5, nil)
			nw.Mesh()
			peers := nw.Peers()
			var ends []*channel.Channel[int]
			for _, p := range peers {
				c, err := channel.Open[int](ctx, p, "left alone")
				if err != nil {
					t.Fatal(err)
				}
				ends = append(ends, c)
			}
			was := settled(ctx, t, "left alone", peers...)
			home := slices.IndexFunc(peers, func(p *dstackless.Peer) bool { return p.ID() == was })
			rest := slices.Delete(slices.Clone(peers), home, home+1)
			ends = slices.Delete(ends, home, home+1)
			exchange := func(from, to int) error {
				sent := make(chan error, 1)
				go func() { sent <- ends[from].Send(ctx, 1) }()
				if _, err := ends[to].Receive(ctx); err != nil {
					return err
				}
				return <-sent
			}
			if err := exchange(1, 2); err != nil {
				t.Fatal(err)
			}
			test.fault(nw, home)
			start := time.Now()
			if err := exchange(1, 2); err != nil {
				t.Fatal(err)
			}
			first := time.Since(start)
			if settled(ctx, t, "left alone", rest...) == was {
				t.Error("the home is the same")
			}
			took := time.Since(start)
			t.Logf("%v until two others could exchange a value, %v until all agreed", first.Round(time.Millisecond), took.Round(time.Millisecond))
			if took > test.limit {
				t.Errorf("it took %v, more than %v", took, test.limit)
			}
			for from := range ends {
				if err := exchange(from, (from+1)%len(ends)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// The home moves to the one that receives, once, and stays there.
func TestHomeMovesToItsReceiver(t *testing.T) {
	ctx := within(t, 60*time.Second)
	peers := homed(ctx, t, 3, "moving")
	home := func() string { return agree(ctx, t, "moving", peers...) }
	first := home()
	i := slices.IndexFunc(peers, func(p *peer) bool { return p.node.ID().String() == first })
	peers[0], peers[i] = peers[i], peers[0]
	exchange := func(from, to, times int) {
		t.Helper()
		c, d := open[string](t, peers[from], "moving"), open[string](t, peers[to], "moving")
		sent := make(chan error, 1)
		go func() {
			for i := range times {
				if err := c.Send(ctx, fmt.Sprint(i)); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		for i := range times {
			if got, err := d.Receive(ctx); err != nil || got != fmt.Sprint(i) {
				t.Fatalf("received %q, %v", got, err)
			}
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	exchange(1, 2, 300)
	if got := home(); got != peers[2].node.ID().String() {
		t.Errorf("home is %s", got)
	}
	// Two that receive as much as each other leave it where it is.
	for range 50 {
		exchange(0, 1, 3)
		exchange(0, 2, 3)
	}
	if got := home(); got != peers[2].node.ID().String() {
		t.Errorf("home is %s after two received", got)
	}
	exchange(2, 0, 300)
	if got := home(); got != peers[0].node.ID().String() {
		t.Errorf("home is %s after another received", got)
	}
}

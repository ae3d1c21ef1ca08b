package p2p_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/dstackless/dstackless/p2p"
)

// How often it is tried to punch a hole: soon as long as one side does not know
// where it is seen, rarely when it does not work, and at once after a change.
func TestPunchPauses(t *testing.T) {
	failed := errors.New("failed")
	for _, c := range []struct {
		name   string
		dialed bool
		want   []time.Duration // between attempts
	}{
		{"nothing to dial", false, []time.Duration{
			250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
		}},
		{"no way through", true, []time.Duration{
			2 * time.Second, 8 * time.Second, 32 * time.Second, 128 * time.Second, 512 * time.Second, 10 * time.Minute, 10 * time.Minute,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var a p2p.PunchTimes
				for range 2 {
					if d := a.Next("peer"); d > 0 {
						t.Fatalf("the first attempt is %v later", d)
					}
					for i, want := range c.want {
						a.Finished("peer", c.dialed, failed)
						if d := a.Next("peer"); d != want {
							t.Errorf("pause %d is %v, want %v", i, d, want)
						}
						if d := a.Next("another"); d > 0 {
							t.Errorf("another peer waits for %v", d)
						}
						time.Sleep(want)
					}
					a.Finished("peer", c.dialed, failed)
					a.Reset()
				}
				a.Finished("peer", c.dialed, failed)
				a.Finished("peer", c.dialed, nil)
				if d := a.Next("peer"); d > 0 {
					t.Errorf("after a hole was lost the next attempt is %v later", d)
				}
				a.Finished("peer", c.dialed, failed)
				if d := a.Next("peer"); d != c.want[0] {
					t.Errorf("the first pause after a hole is %v, want %v", d, c.want[0])
				}
			})
		})
	}
}

// An attempt that could not even be made is no reason for the pause of one that
// failed before. Who waits is told of a change, and one follows each peer.
func TestPunches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a p2p.PunchTimes
		a.Finished("peer", true, errors.New("failed"))
		a.Finished("peer", false, errors.New("failed"))
		if d := a.Next("peer"); d != 250*time.Millisecond {
			t.Errorf("the pause is %v", d)
		}
		news := a.News()
		a.Reset()
		select {
		case <-news:
		default:
			t.Error("who waits is not told")
		}
		if !a.Start("peer") || a.Start("peer") || !a.Start("another") {
			t.Error("not each peer is followed by one")
		}
	})
}

// A symmetric NAT makes another port for each peer: no reason to try again.
func TestPlaces(t *testing.T) {
	const relay = "/ip4/192.0.0.131/tcp/1/p2p/12D3KooWKi4muenaKfuLfLmm8zjvsmSgEn1g4QF3c7PieinAGLj8/p2p-circuit"
	var addrs []ma.Multiaddr
	for _, text := range []string{
		"/ip6/2606:4700::1/tcp/7", "/ip4/192.0.0.141/udp/1/quic-v1", "/ip4/192.0.0.141/tcp/1",
		"/ip4/192.0.0.141/udp/2/quic-v1", "/ip4/192.168.1.2/tcp/1", "/ip4/0.0.0.0/tcp/1", "/p2p-circuit", relay,
	} {
		addrs = append(addrs, ma.StringCast(text))
	}
	want := []string{"192.0.0.141 quic", "192.0.0.141 tcp", "2606:4700::1 tcp"}
	if got := p2p.PublicPlaces(addrs); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

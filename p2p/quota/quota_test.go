package quota_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"

	"github.com/dstackless/dstackless/p2p/quota"
)

func stranger(peer, addr string) quota.Holder {
	return quota.Holder{Peer: peer, Addr: netip.MustParseAddr(addr)}
}

func known(peer, addr string) quota.Holder {
	h := stranger(peer, addr)
	h.Known = true
	return h
}

// Strangers with many IDs on a few addresses fill the pool. Others, also one at
// an address of theirs, find room, keep it, and the greedy ones lose.
func TestGreediestLoses(t *testing.T) {
	const all, part = 1000, 750
	p := quota.New(quota.Limits{All: all, Strangers: part, Each: 100})
	lost := map[string]int{}
	take := func(h quota.Holder) *quota.Share {
		return p.Take(h, 1, func() { lost[h.Addr.String()]++ })
	}
	flood := func() {
		for i := range 2 * all {
			addr := i % 16
			take(stranger(fmt.Sprintf("greedy%d-%d", addr, i%160), fmt.Sprintf("192.0.2.%d", addr)))
		}
	}
	flood()
	if _, n := p.Used(); n != part {
		t.Fatalf("strangers have %d, want %d", n, part)
	}
	for i, addr := range []string{"192.0.2.200", "198.51.100.1", "2001:db8::1", "192.0.2.3"} {
		h := stranger(fmt.Sprintf("honest%d", i), addr)
		for n := range 2 {
			if take(h) == nil {
				t.Fatalf("a stranger at %s does not get its share %d", addr, n)
			}
		}
		flood()
		if n := p.Of(h.Peer); n != 2 && addr != "192.0.2.3" { // which others use to flood
			t.Errorf("a stranger at %s has %d, had 2", addr, n)
		}
	}
	for _, addr := range []string{"192.0.2.200", "198.51.100.1", "2001:db8::1"} {
		if lost[addr] != 0 {
			t.Errorf("a stranger at %s has lost what it had", addr)
		}
	}
	// Known peers have the rest, and then what strangers have but for a quarter.
	for i := range all {
		if take(known(fmt.Sprintf("friend%d", i%20), "192.0.2.1")) == nil {
			t.Fatalf("a known peer does not get its share %d", i)
		}
	}
	if k, s := p.Used(); k != all*3/4 || s != all/4 {
		t.Errorf("known peers have %d, strangers %d, want three quarters and a quarter", k, s)
	}
	if take(stranger("late", "203.0.113.1")) == nil {
		t.Error("strangers are locked out by known peers")
	}
	if k, s := p.Used(); k != all*3/4 || s != all/4 {
		t.Errorf("known peers have %d, strangers %d: a stranger took from known peers", k, s)
	}
}

// One peer has no more than one may have.
func TestEach(t *testing.T) {
	p := quota.New(quota.Limits{All: 100, Strangers: 100, Each: 10})
	s := p.Take(stranger("a", "192.0.2.1"), 10, func() { t.Error("revoked") })
	if s == nil || s.Grow(1) || p.Take(stranger("a", "192.0.2.2"), 1, nil) != nil {
		t.Fatal("one peer has more than 10")
	}
	s.Shrink(4)
	other := p.Take(stranger("a", "192.0.2.2"), 4, nil)
	if other == nil || p.Of("a") != 10 {
		t.Fatalf("one peer has %d, want 10", p.Of("a"))
	}
	s.Return()
	s.Return()
	if s.Grow(1) || p.Of("a") != 4 {
		t.Error("a share that was returned has something")
	}
}

// Of several that have as much, the oldest goes.
func TestOldestGoes(t *testing.T) {
	p := quota.New(quota.Limits{All: 4, Strangers: 4})
	var gone []int
	for i := range 10 {
		if p.Take(stranger(fmt.Sprint(i), "192.0.2.1"), 1, func() { gone = append(gone, i) }) == nil {
			t.Fatalf("%d does not come in", i)
		}
	}
	if fmt.Sprint(gone) != "[0 1 2 3 4 5]" {
		t.Errorf("%v are gone", gone)
	}
}

// A network with many addresses has no more than one with a single address.
func TestNetworks(t *testing.T) {
	p := quota.New(quota.Limits{All: 100, Strangers: 100})
	for i := range 250 {
		p.Take(stranger(fmt.Sprint(i), fmt.Sprintf("192.0.2.%d", i)), 1, func() {})
		p.Take(stranger(fmt.Sprint(1000+i), fmt.Sprintf("2001:db8:0:%x::1", i<<4)), 1, func() {})
	}
	for range 50 {
		if p.Take(stranger("single", "198.51.100.1"), 1, func() { t.Error("revoked") }) == nil {
			t.Fatalf("the single address has %d only", p.Of("single"))
		}
		// A third of the pool is its part, and it keeps that.
		if p.Of("single") >= 33 {
			break
		}
	}
	for i := range 250 {
		p.Take(stranger(fmt.Sprint(2000+i), fmt.Sprintf("192.0.2.%d", i)), 1, func() {})
	}
}

// Whatever is done, sums are right and limits hold.
func TestSums(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	limits := quota.Limits{All: 300, Strangers: 200, Each: 60}
	p := quota.New(limits)
	type held struct {
		*quota.Share
		h quota.Holder
		n int
	}
	var shares []*held
	for range 20_000 {
		h := stranger(fmt.Sprint(r.IntN(40)), fmt.Sprintf("10.0.%d.%d", r.IntN(3), r.IntN(5)))
		h.Known = r.IntN(4) == 0
		switch x := r.IntN(5); {
		case x == 0:
			s := &held{h: h}
			s.Share = p.Open(h, func() { s.n = 0 })
			shares = append(shares, s)
		case len(shares) == 0:
		case x < 3:
			s, n := shares[r.IntN(len(shares))], 1+r.IntN(20)
			if s.Grow(n) {
				s.n += n
			}
		case x == 3:
			s, n := shares[r.IntN(len(shares))], 1+r.IntN(30)
			s.Shrink(n)
			s.n = max(0, s.n-n)
		default:
			i := r.IntN(len(shares))
			shares[i].Return()
			shares[i].n = 0
			shares = append(shares[:i], shares[i+1:]...)
		}
		var want [2]int
		of := map[string]int{}
		for _, s := range shares {
			of[s.h.Peer] += s.n
			if s.h.Known {
				want[0] += s.n
			} else {
				want[1] += s.n
			}
		}
		k, s := p.Used()
		if k != want[0] || s != want[1] || k+s > limits.All || s > limits.Strangers {
			t.Fatalf("used %d and %d, want %v", k, s, want)
		}
		for peer, n := range of {
			if p.Of(peer) != n || n > limits.Each {
				t.Fatalf("peer %s has %d, want %d", peer, p.Of(peer), n)
			}
		}
	}
}

func TestConcurrent(t *testing.T) {
	p := quota.New(quota.Limits{All: 50, Strangers: 40, Each: 20})
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			for n := range 500 {
				h := stranger(fmt.Sprint(i), fmt.Sprintf("10.0.0.%d", n%4))
				if s := p.Take(h, 1+n%5, func() {}); s != nil {
					s.Grow(n % 3)
					s.Return()
				}
			}
		})
	}
	work.Wait()
	if k, s := p.Used(); k != 0 || s != 0 {
		t.Errorf("%d and %d are left", k, s)
	}
}

func BenchmarkTake(b *testing.B) {
	p := quota.New(quota.Limits{All: 8192, Strangers: 6144, Each: 1024})
	for i := range 6144 {
		p.Take(stranger(fmt.Sprint(i/64), fmt.Sprintf("192.0.2.%d", i/512)), 1, func() {})
	}
	h := known("friend", "198.51.100.1")
	b.ReportAllocs()
	for b.Loop() {
		p.Take(h, 1, func() {}).Return()
	}
}

func BenchmarkGrow(b *testing.B) {
	p := quota.New(quota.Limits{All: 8192, Strangers: 6144, Each: 1024})
	s := p.Open(stranger("a", "198.51.100.1"), func() {})
	b.ReportAllocs()
	for b.Loop() {
		s.Grow(1)
		s.Shrink(1)
	}
}

package dht_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

// lookup looks a name up until what comes of it is wanted: an announcement is
// over before its record is stored.
func lookup(t testing.TB, m *member, text string, wanted func(p2p.ID, error) bool) {
	t.Helper()
	ctx := within(t)
	for {
		id, err := m.Lookup(ctx, text)
		if wanted(id, err) {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s is %q, %v", text, id, err)
		}
	}
}

func is(want *member) func(p2p.ID, error) bool {
	return func(id p2p.ID, err error) bool { return id == want.ID() && err == nil }
}

// both wants an error that names all of them, in full, and says whether they
// could be asked.
func ambiguous(claim, silent []*member) func(p2p.ID, error) bool {
	return func(id p2p.ID, err error) bool {
		var a *dht.AmbiguousError
		if !errors.As(err, &a) || id != "" || len(a.Peers) != len(claim) || len(a.Silent) != len(silent) {
			return false
		}
		for _, m := range claim {
			if !slices.Contains(a.Peers, m.ID()) || !strings.Contains(err.Error(), m.ID().String()) {
				return false
			}
		}
		for _, m := range silent {
			if !slices.Contains(a.Silent, m.ID()) || !strings.Contains(err.Error(), m.ID().String()) {
				return false
			}
		}
		return true
	}
}

func notFound(_ p2p.ID, err error) bool { return errors.Is(err, dht.ErrNotFound) }

// Two peers that are connected know each other's names at once, with no table.
func TestLookupConnected(t *testing.T) {
	alice, bob := start(t, &dht.Options{Name: "alice", Client: true}), start(t, &dht.Options{Name: "bob", Client: true})
	if _, err := alice.Connect(within(t), bob.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	lookup(t, alice, "bob", is(bob))
	lookup(t, bob, "alice", is(alice))
	lookup(t, bob, "bob", is(bob))
	lookup(t, alice, "carol", notFound)
	if alice.Size()+bob.Size() > 0 {
		t.Error("there is a table")
	}
	for _, m := range []*member{alice, bob} {
		if name, err := alice.NameOf(within(t), m.ID()); name != m.Name() || err != nil {
			t.Errorf("%s calls itself %q, %v", m.Name(), name, err)
		}
	}
}

func TestLookupAlone(t *testing.T) {
	m := start(t, nil)
	lookup(t, m, "alice", notFound)
	if _, err := m.NameOf(within(t), m.ID()); !errors.Is(err, dht.ErrNoName) {
		t.Errorf("%v, want ErrNoName", err)
	}
	for _, text := range []string{"", "12D3KooWx", "no name", "Alice"} {
		lookup(t, m, text, notFound)
	}
	lookup(t, m, m.ID().String(), is(m))
	lookup(t, m, m.ID().String()[:20], is(m))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Lookup(ctx, "alice"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want Canceled", err)
	}
	m.DHT.Close()
	if _, err := m.Lookup(within(t), "alice"); !errors.Is(err, dht.ErrClosed) {
		t.Errorf("%v, want ErrClosed", err)
	}
	if _, err := m.NameOf(within(t), other(t)); !errors.Is(err, dht.ErrClosed) {
		t.Errorf("%v, want ErrClosed", err)
	}
}

func TestLookup(t *testing.T) {
	first := start(t, nil)
	alice := start(t, &dht.Options{Name: "alice"})
	seeker := start(t, nil)
	join(t, alice, first)
	join(t, seeker, first)
	lookup(t, seeker, "alice", is(alice))

	// Another takes the name. Whoever seeks it hears of both, in full.
	mallory := start(t, &dht.Options{Name: "alice"})
	join(t, mallory, first)
	claimants := []*member{alice, mallory}
	lookup(t, seeker, "alice", ambiguous(claimants, nil))
	lookup(t, alice, "alice", ambiguous(claimants, nil))
	pinned := start(t, &dht.Options{Pins: map[dht.Name]p2p.ID{"alice": alice.ID()}})
	lookup(t, pinned, "alice", is(alice))

	// One of them does not answer. It may be the right one.
	alice.kill()
	lookup(t, seeker, "alice", ambiguous([]*member{mallory}, []*member{alice}))
	mallory.kill()
	lookup(t, seeker, "alice", ambiguous(nil, []*member{alice, mallory}))
}

func TestLookupForgets(t *testing.T) {
	opts := func(name dht.Name) *dht.Options {
		return &dht.Options{Name: name, Interval: 50 * time.Millisecond, RecordTTL: 300 * time.Millisecond}
	}
	seeker, alice, mallory := start(t, opts("")), start(t, opts("alice")), start(t, opts("alice"))
	join(t, alice, seeker)
	join(t, mallory, seeker)
	lookup(t, seeker, "alice", ambiguous([]*member{alice, mallory}, nil))
	mallory.kill()
	lookup(t, seeker, "alice", is(alice))
}

func TestLookupPrefix(t *testing.T) {
	seeker, a, b := start(t, nil), start(t, nil), start(t, nil)
	join(t, a, seeker)
	join(t, b, seeker)
	lookup(t, seeker, "12D3KooW", ambiguous([]*member{seeker, a, b}, nil))
	for _, m := range []*member{seeker, a, b} {
		lookup(t, seeker, m.ID().String()[:40], is(m))
		lookup(t, a, m.ID().String(), is(m))
	}
	lookup(t, seeker, start(t, nil).ID().String()[:40], notFound) // it is not connected
}

// A hostile peer is announced under a name, and shows whatever it likes for its
// claim.
func TestLookupHostile(t *testing.T) {
	seeker := start(t, nil)
	alice := start(t, &dht.Options{Name: "alice"})
	mallory := start(t, nil)
	join(t, alice, seeker)
	join(t, mallory, seeker)
	show := func(name dht.Name, of *p2p.Node, at time.Time) []byte {
		b, err := dht.NewClaim(of, name, at)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	forever := make(chan struct{})
	answer := func(b []byte) func(p2p.Stream) {
		return func(s p2p.Stream) { s.Write(b); s.Close() }
	}
	mallory.Announce(dht.NameKey("alice"))
	for _, test := range []struct {
		what  string
		shows func(p2p.Stream)
		then  func(p2p.ID, error) bool
	}{
		{"alice's claim", answer(show("alice", alice.Node, time.Now())), is(alice)},
		{"nothing", answer(nil), is(alice)},
		{"noise", answer([]byte("noise noise noise noise")), is(alice)},
		{"a claim that has expired", answer(show("alice", mallory.Node, time.Now().Add(-2*dht.ClaimLifetime))), is(alice)},
		{"a claim without end", answer(show("alice", mallory.Node, time.Now().Add(2*dht.ClaimLifetimeMax))), is(alice)},
		{"a claim to another name", answer(show("mallory", mallory.Node, time.Now())), is(alice)},
		{"a claim with more behind it", answer(append(show("alice", mallory.Node, time.Now()), make([]byte, 1<<20)...)), is(alice)},
		{"a stream without end", func(s p2p.Stream) {
			for b := bytes.Repeat([]byte{0}, 1<<16); ; {
				if _, err := s.Write(b); err != nil {
					return
				}
			}
		}, is(alice)},
		{"silence", func(s p2p.Stream) { <-forever; s.Reset() }, ambiguous([]*member{alice}, []*member{mallory})},
		{"its own claim", answer(show("alice", mallory.Node, time.Now())), ambiguous([]*member{alice, mallory}, nil)},
	} {
		mallory.Handle(dht.NameProtocol, test.shows)
		begun := time.Now()
		find(t, seeker, dht.NameKey("alice"), mallory.ID())
		lookup(t, seeker, "alice", test.then)
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("%s: it took %v", test.what, took)
		}
		t.Logf("%s: %v", test.what, time.Since(begun))
	}
	close(forever)
}

func TestNameOptions(t *testing.T) {
	node := lone(t)
	for _, o := range []dht.Options{{Name: "No"}, {Pins: map[dht.Name]p2p.ID{"No": other(t)}}} {
		if _, err := dht.Start(node, &o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// A peer that was killed a moment ago is still connected, as far as others know,
// and does not answer. Whoever seeks its name does not wait for it for long, and
// hears who else has the name.
func TestLookupBesidesDeadPeer(t *testing.T) {
	first, alice := start(t, nil), start(t, &dht.Options{Name: "alice"})
	dead := start(t, &dht.Options{Name: "alice"})
	join(t, alice, first)
	join(t, dead, first)
	lookup(t, first, "alice", ambiguous([]*member{alice, dead}, nil))
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	for _, protocol := range dead.Host().Mux().Protocols() {
		dead.Host().SetStreamHandler(protocol, func(s network.Stream) {
			<-ended
			s.Reset()
		})
	}
	seeker := start(t, nil)
	join(t, seeker, first)
	began := time.Now()
	id, err := seeker.Lookup(within(t), "alice")
	if !ambiguous([]*member{alice}, []*member{dead})(id, err) {
		t.Errorf("%q, %v", id, err)
	}
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("it took %v", took)
	}
}

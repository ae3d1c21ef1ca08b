package dht_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A member is one peer of a test network.
type member struct {
	*p2p.Node
	*dht.DHT
}

func (m *member) Close() error { return errors.Join(m.DHT.Close(), m.Node.Close()) }

// kill ends the peer without a word to others.
func (m *member) kill() { m.Node.Close() }

// start starts a peer on loopback and closes it at the end of the test.
func start(t testing.TB, opts *dht.Options) *member {
	t.Helper()
	return startAt(t, "/ip4/127.0.0.1/tcp/0", opts)
}

// startAt is start with an address to listen at.
func startAt(t testing.TB, listen string, opts *dht.Options) *member {
	t.Helper()
	n, err := p2p.Start(&p2p.Options{Listen: []string{listen}, NoLAN: true, NoPortMapping: true})
	if err != nil {
		t.Fatal(err)
	}
	d, err := dht.Start(n, opts)
	if err != nil {
		n.Close()
		t.Fatal(err)
	}
	m := &member{n, d}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// within returns a context that no test on loopback should outlive.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// join connects from to to and waits until each has the other in its table.
func join(t testing.TB, from, to *member) {
	t.Helper()
	here, stopHere := joined(from)
	there, stopThere := joined(to)
	defer stopHere()
	defer stopThere()
	sizeHere, sizeThere := from.Size(), to.Size()
	if _, err := from.Connect(within(t), to.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	for from.Size() == sizeHere {
		wait(t, here)
	}
	for to.Size() == sizeThere {
		wait(t, there)
	}
}

func joined(m *member) (<-chan struct{}, func()) {
	c := make(chan struct{}, 100)
	return c, m.Joined(func() { c <- struct{}{} })
}

func wait(t testing.TB, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-within(t).Done():
		t.Fatal("no peer joined")
	}
}

// find searches until it finds want under key. One search may miss it: an
// announcement is over before its record is stored.
func find(t testing.TB, m *member, key dht.Key, want p2p.ID) {
	t.Helper()
	ctx := within(t)
	for ctx.Err() == nil {
		got := slices.Collect(m.Find(ctx, key))
		if slices.Contains(got, m.ID()) {
			t.Fatal("a peer found itself")
		}
		if slices.Contains(got, want) {
			return
		}
	}
	t.Fatalf("%s is not found", want)
}

func TestAlone(t *testing.T) {
	m := start(t, nil)
	key := dht.KeyOf("a name")
	stop := m.Announce(key)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if got := slices.Collect(m.Find(ctx, key)); len(got) != 0 {
		t.Errorf("a peer alone finds %v", got)
	}
	if err := m.FindPeer(ctx, other(t)); !errors.Is(err, dht.ErrNotFound) {
		t.Errorf("FindPeer: %v, want ErrNotFound", err)
	}
	if err := m.FindPeer(ctx, m.ID()); !errors.Is(err, p2p.ErrSelf) {
		t.Errorf("FindPeer of itself: %v, want ErrSelf", err)
	}
	if err := ctx.Err(); err != nil {
		t.Errorf("searches that can find nothing took too long: %v", err)
	}
	stop()
	stop()
}

func other(t testing.TB) p2p.ID {
	id, err := p2p.ParseID("12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestThree(t *testing.T) {
	first := start(t, nil)
	early, late, mutual := dht.KeyOf("early"), dht.KeyOf("late"), dht.KeyOf("mutual")
	first.Announce(early) // while it is alone
	first.Announce(mutual)

	second, third := start(t, nil), start(t, nil)
	join(t, second, first)
	join(t, third, first)
	find(t, third, early, first.ID())

	stop := second.Announce(late)
	second.Announce(mutual)
	find(t, third, late, second.ID())
	find(t, third, mutual, second.ID())
	find(t, second, mutual, first.ID())

	// What is found can be reached.
	if err := third.FindPeer(within(t), second.ID()); err != nil {
		t.Fatal(err)
	}
	second.Handle("/test/1", func(s p2p.Stream) { s.Close() })
	s, err := third.Open(within(t), second.ID(), "/test/1")
	if err != nil {
		t.Fatal(err)
	}
	s.Reset()

	// Without the one that everybody knew, the others still find each other.
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	find(t, third, late, second.ID())
	stop()
}

func TestFindReachesWithoutConnecting(t *testing.T) {
	first, second, third := start(t, nil), start(t, nil), start(t, &dht.Options{Client: true})
	join(t, second, first)
	key := dht.KeyOf("name")
	second.Announce(key)
	find(t, first, key, second.ID()) // the record is there
	if _, err := third.Connect(within(t), first.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	for third.Size() == 0 {
		c, stop := joined(third)
		if third.Size() == 0 {
			wait(t, c)
		}
		stop()
	}
	find(t, third, key, second.ID())
	second.Handle("/test/1", func(s p2p.Stream) { s.Close() })
	s, err := third.Open(within(t), second.ID(), "/test/1")
	if err != nil {
		t.Fatal("a found peer's addresses are not known:", err)
	}
	s.Reset()
	if got := first.Size(); got != 1 {
		t.Errorf("the first has %d peers in its table, want only the second: a client is no member", got)
	}
}

func TestAnnounceAgain(t *testing.T) {
	// A record lives for less than the test takes, so only repetition finds it.
	opts := &dht.Options{Interval: 50 * time.Millisecond, RecordTTL: 300 * time.Millisecond}
	first, second := start(t, opts), start(t, opts)
	join(t, second, first)
	key := dht.KeyOf("name")
	stop := second.Announce(key)
	for begin := time.Now(); time.Since(begin) < 2*opts.RecordTTL; {
		find(t, first, key, second.ID())
	}
	stop()
	ctx := within(t)
	for slices.Contains(slices.Collect(first.Find(ctx, key)), second.ID()) {
		if ctx.Err() != nil {
			t.Fatal("a record without repetition never expires")
		}
	}
}

func TestAnnounceWhenTheTableRefills(t *testing.T) {
	// A client answers no searches: what the other finds, it was told.
	m := start(t, &dht.Options{Client: true})
	came, stop := joined(m)
	defer stop()
	key := dht.KeyOf("name")
	m.Announce(key)
	for range 2 {
		peer := start(t, nil)
		if _, err := m.Connect(within(t), peer.Addrs()[0]); err != nil {
			t.Fatal(err)
		}
		for m.Size() == 0 {
			wait(t, came)
		}
		find(t, peer, key, m.ID())
		if err := peer.Close(); err != nil {
			t.Fatal(err)
		}
		// A peer leaves the table when it fails to answer.
		ctx := within(t)
		for m.Size() > 0 {
			for range m.Find(ctx, dht.KeyOf("nothing")) {
			}
			if ctx.Err() != nil {
				t.Fatal("the peer that left is still in the table")
			}
		}
	}
}

func TestFindStops(t *testing.T) {
	first, second, third := start(t, nil), start(t, nil), start(t, nil)
	join(t, second, first)
	join(t, third, first)
	key := dht.KeyOf("name")
	first.Announce(key)
	second.Announce(key)
	find(t, third, key, first.ID())
	find(t, third, key, second.ID())
	for range third.Find(within(t), key) {
		break
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range third.Find(ctx, key) { // may find, must end
	}
}

func TestClose(t *testing.T) {
	first, second := start(t, nil), start(t, nil)
	join(t, second, first)
	stop := second.Announce(dht.KeyOf("name"))
	for range 2 {
		if err := second.DHT.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	second.Announce(dht.KeyOf("name"))()
	if got := slices.Collect(second.Find(within(t), dht.KeyOf("name"))); len(got) != 0 {
		t.Errorf("found %v after Close", got)
	}
	if err := second.FindPeer(within(t), first.ID()); !errors.Is(err, dht.ErrClosed) {
		t.Errorf("FindPeer: %v, want ErrClosed", err)
	}
}

func TestOptions(t *testing.T) {
	n, err := p2p.Start(&p2p.Options{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for _, o := range []dht.Options{{Interval: -1}, {Interval: time.Microsecond}, {RecordTTL: -time.Hour}} {
		if _, err := dht.Start(n, &o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestKeyOf(t *testing.T) {
	// The key of a name is part of the protocol: it must never change.
	const want = "bafkreig33gbkoqqr67a4nnytqf6pcjehya5ua4ejz3gbws5bjdeiloeiie"
	if got := dht.KeyOf("greetings").String(); got != want {
		t.Errorf("KeyOf(greetings) = %s, want %s", got, want)
	}
	if dht.KeyOf([]byte("greetings")) != dht.KeyOf("greetings") {
		t.Error("text and bytes differ")
	}
	if dht.KeyOf("greetings") == dht.KeyOf("greeting") {
		t.Error("two names, one key")
	}
}

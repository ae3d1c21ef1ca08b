package content_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/content"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A member is one peer of a test network.
type member struct {
	*p2p.Node
	table *dht.DHT
	*content.Store
}

func (m *member) Close() error {
	return errors.Join(m.Store.Close(), m.table.Close(), m.Node.Close())
}

// start starts a peer on loopback with its blocks in dir, or in memory, and
// closes it at the end of the test.
func start(t testing.TB, dir string) *member {
	t.Helper()
	return startOn(t, dir, "/ip4/127.0.0.1/udp/0/quic-v1")
}

func startOn(t testing.TB, dir, listen string) *member {
	t.Helper()
	return startMember(t, listen, &content.Options{Dir: dir})
}

// startWith is start with other options.
func startWith(t testing.TB, o *content.Options) *member {
	t.Helper()
	return startMember(t, "/ip4/127.0.0.1/udp/0/quic-v1", o)
}

func startMember(t testing.TB, listen string, o *content.Options) *member {
	t.Helper()
	m := new(member)
	var err error
	if m.Node, err = p2p.Start(&p2p.Options{Listen: []string{listen}}); err != nil {
		t.Fatal(err)
	}
	if m.table, err = dht.Start(m.Node, nil); err != nil {
		t.Fatal(err)
	}
	if m.Store, err = content.Start(m.Node, m.table, o); err != nil {
		t.Fatal(err)
	}
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

func connect(t testing.TB, from, to *member) {
	t.Helper()
	if _, err := from.Connect(within(t), to.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
}

// random returns n bytes that are the same in every run.
func random(n int, seed byte) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	return data
}

func add(t testing.TB, m *member, data []byte) cid.Cid {
	t.Helper()
	c, err := m.Add(within(t), data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(t testing.TB, m *member, c cid.Cid, want []byte, from ...p2p.ID) {
	t.Helper()
	got, err := m.Get(within(t), c, int64(len(want)), from...)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes that are not the %d added", len(got), len(want))
	}
}

func TestGet(t *testing.T) {
	for name, data := range map[string][]byte{
		"empty":        {},
		"one block":    []byte("hello world"),
		"a full block": random(256<<10, 1),
		"two blocks":   random(256<<10+1, 2),
		"same blocks":  make([]byte, 2<<20),
		"3 MB":         random(3_000_000, 3),
	} {
		t.Run(name, func(t *testing.T) {
			a, b := start(t, ""), start(t, t.TempDir())
			connect(t, b, a)
			c := add(t, a, data)
			get(t, a, c, data)
			if has, err := b.Has(within(t), c); err != nil || has != (len(data) == 0) {
				t.Fatalf("b has %s before: %v, %v", c, has, err)
			}
			begin := time.Now()
			get(t, b, c, data, a.ID())
			t.Logf("%d bytes from another peer in %v", len(data), time.Since(begin))
			if has, err := b.Has(within(t), c); err != nil || !has {
				t.Fatalf("b has %s after: %v, %v", c, has, err)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			get(t, b, c, data) // it is here now
		})
	}
}

func TestGetDialsThePeersGiven(t *testing.T) {
	a, b := start(t, ""), start(t, "")
	data := random(1<<20, 4)
	c := add(t, a, data)
	b.AddAddrs(a.ID(), a.Addrs())
	nobody, err := p2p.ParseID("12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo")
	if err != nil {
		t.Fatal(err)
	}
	get(t, b, c, data, nobody, b.ID(), a.ID())
}

func TestGetThroughTheTable(t *testing.T) {
	// b and a know only the peer between them, which has nothing.
	middle, a, b := start(t, ""), start(t, ""), start(t, "")
	data := random(600_000, 5)
	c := add(t, a, data) // before a has met anyone
	connect(t, a, middle)
	connect(t, b, middle)
	get(t, b, c, data)

	// And from the one that fetched it, when the first is gone.
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	late := start(t, "")
	connect(t, late, middle)
	get(t, late, c, data)
}

func TestGetWaitsForTheContent(t *testing.T) {
	a, b := start(t, ""), start(t, "")
	connect(t, b, a)
	data := random(1000, 6)
	c := add(t, start(t, ""), data) // b knows the CID, and nobody that has it
	got := make(chan error, 1)
	ctx := within(t)
	go func() {
		back, err := b.Get(ctx, c, 1000)
		if err == nil && !bytes.Equal(back, data) {
			err = errors.New("other bytes")
		}
		got <- err
	}()
	add(t, a, data)
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestGetLimit(t *testing.T) {
	a, b := start(t, ""), start(t, "")
	connect(t, b, a)
	for _, size := range []int{100, 1 << 20} {
		data := random(size, 7)
		c := add(t, a, data)
		if _, err := b.Get(within(t), c, int64(size)-1, a.ID()); !errors.Is(err, content.ErrTooLarge) {
			t.Errorf("%d bytes with a limit of one less: %v, want ErrTooLarge", size, err)
		}
		get(t, b, c, data)
	}
}

func TestGetErrors(t *testing.T) {
	m := start(t, "")
	absent := cid.MustParse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := m.Get(ctx, absent, 100)
	if !errors.Is(err, content.ErrNotFound) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("absent: %v, want ErrNotFound and the context's", err)
	}
	sha1, err := multihash.Sum([]byte("hello world"), multihash.SHA1, -1)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]cid.Cid{
		"undefined":  cid.Undef,
		"other kind": cid.NewCidV1(cid.DagCBOR, absent.Hash()),
		"SHA-1":      cid.NewCidV1(cid.Raw, sha1),
	} {
		if _, err := m.Get(within(t), c, 100); !errors.Is(err, content.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

func TestClose(t *testing.T) {
	m := start(t, "")
	absent := cid.MustParse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")
	waiting := make(chan error)
	go func() {
		_, err := m.Get(context.Background(), absent, 100)
		waiting <- err
	}()
	go m.Store.Close()
	if err := <-waiting; !errors.Is(err, content.ErrClosed) {
		t.Errorf("Get: %v, want ErrClosed", err)
	}
	if err := m.Store.Close(); err != nil {
		t.Error(err)
	}
	if _, err := m.Add(within(t), nil); !errors.Is(err, content.ErrClosed) {
		t.Errorf("Add: %v, want ErrClosed", err)
	}
	if _, err := m.Has(within(t), absent); !errors.Is(err, content.ErrClosed) {
		t.Errorf("Has: %v, want ErrClosed", err)
	}
}

func BenchmarkFetch3MB(b *testing.B) {
	from := start(b, "")
	for seed := byte(0); b.Loop(); seed++ {
		b.StopTimer()
		data := random(3_000_000, seed)
		data[0] = byte(b.N)
		c := add(b, from, data)
		to := start(b, "")
		connect(b, to, from)
		b.StartTimer()
		get(b, to, c, data, from.ID())
		b.StopTimer()
		if err := to.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

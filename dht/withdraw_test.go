package dht_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"google.golang.org/protobuf/proto"

	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

// A peer that ends in order takes its name back, and a new key has it at once.
func TestNameOfPeerThatEnded(t *testing.T) {
	first, seeker := start(t, nil), start(t, nil)
	old := start(t, &dht.Options{Name: "dora"})
	join(t, old, first)
	join(t, seeker, first)
	lookup(t, seeker, "dora", is(old))
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if id, err := seeker.Lookup(within(t), "dora"); !notFound(id, err) {
		t.Errorf("after the end, dora is %q, %v", id, err)
	}
	dora := start(t, &dht.Options{Name: "dora"})
	if _, err := dora.Connect(within(t), first.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	lookup(t, seeker, "dora", is(dora))
}

// withdraw has a peer say to others that it ends, and more that they ignore.
func withdraw(t *testing.T, m *member, more []byte, others ...*member) {
	t.Helper()
	for _, other := range others {
		s, err := m.Open(within(t), other.ID(), dht.WithdrawProtocol)
		if err != nil {
			t.Fatal(err)
		}
		s.Write(more)
		s.Read(make([]byte, 1)) // until it is known
		s.Reset()
	}
}

// A peer withdraws nobody's records but its own, and has them back when it
// connects again.
func TestWithdrawHostile(t *testing.T) {
	first, second := start(t, nil), start(t, nil)
	alice, mallory := start(t, &dht.Options{Name: "alice"}), start(t, &dht.Options{Name: "mallory"})
	for _, m := range []*member{second, alice, mallory} {
		join(t, m, first)
	}
	find(t, first, dht.NameKey("alice"), alice.ID())
	find(t, second, dht.NameKey("alice"), alice.ID())
	find(t, first, dht.NameKey("mallory"), mallory.ID())
	withdraw(t, mallory, []byte(alice.ID()), first, second, alice)
	find(t, first, dht.NameKey("alice"), alice.ID())
	find(t, second, dht.NameKey("alice"), alice.ID())
	for _, m := range []*member{first, second, alice} {
		if slices.Contains(slices.Collect(m.Find(within(t), dht.NameKey("mallory"))), mallory.ID()) {
			t.Error("the record of a peer that has withdrawn is found")
		}
	}
	mallory.Host().Network().ClosePeer(first.ID())
	if _, err := mallory.Connect(within(t), first.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	find(t, first, dht.NameKey("mallory"), mallory.ID())
}

// Close ends soon although a peer that is connected answers to nothing.
func TestWithdrawFromSilentPeer(t *testing.T) {
	silent, dora := start(t, nil), start(t, &dht.Options{Name: "dora"})
	join(t, dora, silent)
	silent.Handle(dht.WithdrawProtocol, func(s p2p.Stream) {
		<-t.Context().Done()
		s.Reset()
	})
	begun := time.Now()
	if err := dora.DHT.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Peers that end are not remembered without end.
func TestWithdrawMax(t *testing.T) {
	ids := make([]p2p.ID, dht.WithdrawMax+100)
	for i := range ids {
		ids[i] = p2p.ID(fmt.Sprintf("peer %d", i))
	}
	if n := dht.Remembered(ids...); n != dht.WithdrawMax {
		t.Errorf("%d peers are remembered, want %d", n, dht.WithdrawMax)
	}
}

// answer returns an answer of kad-dht that names providers.
func answer(t testing.TB, ids ...p2p.ID) []byte {
	t.Helper()
	m := &pb.Message{Type: pb.Message_GET_PROVIDERS, Key: []byte("key")}
	for _, id := range ids {
		m.ProviderPeers = append(m.ProviderPeers, &pb.Message_Peer{Id: []byte(id), Addrs: [][]byte{make([]byte, 5000)}})
	}
	m.CloserPeers = []*pb.Message_Peer{{Id: []byte("ended")}}
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
}

// A sink keeps what is written to it.
type sink struct {
	network.Stream
	got bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) { return s.got.Write(p) }

// Answers come in pieces of any size, and are handed on without the peers that
// have ended.
func TestAnswers(t *testing.T) {
	want := append(answer(t, "here"), answer(t, "there")...)
	sent := append(answer(t, "here", "ended"), answer(t, "ended", "there")...)
	for _, size := range []int{1, 7, 4096, len(answer(t, "here", "ended"))} {
		var s sink
		w := dht.NewAnswers(&s, "ended")
		for i := 0; i < len(sent); {
			// One message ends a write, as it does in kad-dht.
			end := min(i+size, len(sent))
			if first := len(answer(t, "here", "ended")); i < first {
				end = min(end, first)
			}
			if n, err := w.Write(sent[i:end]); n != end-i || err != nil {
				t.Fatal(n, err)
			}
			i = end
		}
		if !bytes.Equal(s.got.Bytes(), want) {
			t.Errorf("in pieces of %d bytes: %d bytes came out, want %d", size, s.got.Len(), len(want))
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(answer(f, "here", "ended"))
	f.Add(answer(f))
	f.Add([]byte{})
	f.Add([]byte{1, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		ended := func(id p2p.ID) bool { return id == "ended" }
		out, err := dht.WithoutEnded(b, ended)
		if err != nil {
			return
		}
		again, err := dht.WithoutEnded(out, ended)
		if err != nil || !bytes.Equal(out, again) {
			t.Errorf("%q has become %q, and that %q, %v", b, out, again, err)
		}
	})
}

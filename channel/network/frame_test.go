package network_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/peertest"
)

func TestMain(m *testing.M) {
	peertest.RunProcess()
	goleak.VerifyTestMain(m)
}

// frames are one of every kind, and of every shape of it.
func frames() map[string]network.Frame {
	peer, addrs := p2p.ID("another peer"), []string{"/ip4/127.0.0.1/tcp/4001", ""}
	key, proof := [32]byte{1, 2}, [32]byte{31: 3}
	return map[string]network.Frame{
		"hello":                 {Kind: network.Hello, Number: 1, Key: key, Proof: proof},
		"hello_home":            {Kind: network.Hello, Number: 300, Key: key, Proof: proof, ClaimTerm: 1 << 32, Home: peer, Addrs: addrs},
		"unknown":               {Kind: network.Unknown, Key: key},
		"leave":                 {Kind: network.Goodbye, Number: math.MaxUint64},
		"send":                  {Kind: network.Send, Number: 1, Send: math.MaxUint64},
		"send_value":            {Kind: network.Send, Number: 1, Send: 2, Acked: 200, Value: []byte("value")},
		"send_empty_value":      {Kind: network.Send, Number: 1, Send: 2, Value: []byte{}},
		"send_again":            {Kind: network.Send, Number: 1, Attempt: 300, Send: 2, Resumed: true, Value: []byte("value")},
		"send_asks":             {Kind: network.Send, Number: 1, Attempt: 1, Send: 2, Resumed: true},
		"queued":                {Kind: network.Queued, Number: 1, Attempt: 2, Send: 2},
		"receive":               {Kind: network.Receive, Number: 1, Receive: 3},
		"withdraw":              {Kind: network.Withdraw, Number: 1, Send: 2},
		"match":                 {Kind: network.Match, Number: 1, Send: 2, Receive: 3, Peer: peer},
		"match_addrs":           {Kind: network.Match, Number: 1, Attempt: 1 << 32, Incarnation: math.MaxUint64, Send: 2, Receive: 3, Peer: peer, Addrs: addrs},
		"match_result_accepted": {Kind: network.MatchResult, Number: 1, Send: 2, Receive: 3, Outcome: network.Accepted},
		"match_result_gone":     {Kind: network.MatchResult, Number: 1, Send: 2, Receive: 3, Outcome: network.Gone},
		"deliver":               {Kind: network.Deliver, Number: 1, Send: 2, Receive: 3, Acked: 1, Value: []byte("value")},
		"deliver_passed":        {Kind: network.Deliver, Number: 1, Send: 2, Receive: 3, Peer: peer, Value: []byte{}},
		"deliver_pass_again":    {Kind: network.Deliver, Number: 1, Send: 2, Receive: 3, Peer: peer, Relay: true, Resumed: true, Value: []byte("v")},
		"accept":                {Kind: network.Accept, Number: 1, Send: 2},
		"accept_passed":         {Kind: network.Accept, Number: 1, Send: 2, Peer: peer},
		"refuse":                {Kind: network.Refuse, Number: 1, Send: 2, Peer: peer},
		"closed":                {Kind: network.ChannelClosed, Number: 1},
		"drained":               {Kind: network.Drained, Number: 1},
		"send_ordered":          {Kind: network.Send, Number: 1, Send: 2, Term: 300, Ordered: true, Value: []byte("value")},
		"deliver_choice":        {Kind: network.Deliver, Number: 1, Send: 2, Receive: 3, Choice: 1 << 40, Value: []byte("value")},
		"probe":                 {Kind: network.Probe, Number: 1, Send: 2, Receive: 3},
		"probe_reply":           {Kind: network.ProbeReply, Number: 1, Send: 2, Sends: 300, Receives: 1},
		"probe_reply_waits":     {Kind: network.ProbeReply, Number: 1, Send: 2, Receives: math.MaxInt32, Waits: true},
		"relay_lost":            {Kind: network.RelayLost, Number: 1, Send: 2, Peer: peer},
		"successor":             {Kind: network.Successor, Number: 1, Peer: peer, Addrs: addrs},
		"successor_nobody":      {Kind: network.Successor, Number: 1},
		"ping":                  {Kind: network.Ping},
	}
}

func TestFrames(t *testing.T) {
	for name, f := range frames() {
		t.Run(name, func(t *testing.T) {
			b := f.Bytes()
			parsed, err := network.ParseFrame(b)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(parsed.Bytes(), b) {
				t.Errorf("%x was parsed as %x", b, parsed.Bytes())
			}
			fixed := len(b)
			if f.Value != nil { // the last bytes, of whatever length
				fixed -= len(f.Value)
				if !bytes.Equal(parsed.Value, f.Value) || parsed.Value == nil {
					t.Errorf("the value was parsed as %#v", parsed.Value)
				}
			} else if _, err := network.ParseFrame(append(slices.Clone(b), 0)); !errors.Is(err, codec.ErrMalformed) {
				t.Errorf("followed by a byte: %v", err)
			}
			for n := range fixed {
				if _, err := network.ParseFrame(b[:n]); !errors.Is(err, codec.ErrMalformed) {
					t.Errorf("cut after %d of %d bytes: %v", n, len(b), err)
				}
			}
		})
	}
}

func TestRefusedFrames(t *testing.T) {
	long := p2p.ID(strings.Repeat("i", 65))
	for name, b := range map[string][]byte{
		"no kind":                      {0, 1},
		"a kind of the future":         {byte(network.Ping) + 1, 1},
		"the last kind":                {255, 1},
		"number in a long form":        {byte(network.Goodbye), 0x80, 0},
		"number of 65 bits":            append(append([]byte{byte(network.Goodbye)}, bytes.Repeat([]byte{0xff}, 9)...), 2),
		"generation without a home":    network.Frame{Kind: network.Hello, ClaimTerm: 1}.Bytes(),
		"generation over the last":     network.Frame{Kind: network.Hello, ClaimTerm: 1<<32 + 1, Home: "x"}.Bytes(),
		"home without a generation":    network.Frame{Kind: network.Hello, Home: "x"}.Bytes(),
		"home of 65 bytes":             network.Frame{Kind: network.Hello, ClaimTerm: 1, Home: long}.Bytes(),
		"address of 257 bytes":         append(match(), append([]byte{1, 0x81, 2}, make([]byte, 257)...)...),
		"addresses of 3,328 bytes":     append(match(), append([]byte{13}, bytes.Repeat(append([]byte{0x80, 2}, make([]byte, 256)...), 13)...)...),
		"17 addresses":                 append(match(), append([]byte{17}, make([]byte, 17)...)...),
		"255 addresses":                append(match(), append([]byte{255}, make([]byte, 255)...)...),
		"match with nobody":            network.Frame{Kind: network.Match}.Bytes(),
		"outcome 0":                    network.Frame{Kind: network.MatchResult}.Bytes(),
		"outcome 5":                    network.Frame{Kind: network.MatchResult, Outcome: 5}.Bytes(),
		"delivery of nothing":          network.Frame{Kind: network.Deliver}.Bytes(),
		"pass to nobody":               network.Frame{Kind: network.Deliver, Relay: true, Value: []byte{}}.Bytes(),
		"pass of a send":               network.Frame{Kind: network.Send, Relay: true, Value: []byte{}}.Bytes(),
		"flags of the future":          append(network.Frame{Kind: network.Send}.Bytes()[:13], 16),
		"ordered delivery":             network.Frame{Kind: network.Deliver, Ordered: true, Value: []byte{}}.Bytes(),
		"a crowd":                      network.Frame{Kind: network.ProbeReply, Sends: math.MaxInt32 + 1}.Bytes(),
		"another flag of a probe":      append(network.Frame{Kind: network.ProbeReply}.Bytes()[:13], 1),
		"value over the limit":         network.Frame{Kind: network.Send, Value: make([]byte, channel.MaxValue+1)}.Bytes(),
		"accept by way of a long peer": network.Frame{Kind: network.Accept, Peer: long}.Bytes(),
	} {
		if f, err := network.ParseFrame(b); !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("%s: parsed as %+v, %v", name, f, err)
		}
	}
	// Addresses that a frame may not hold are left out.
	long256, long257 := strings.Repeat("a", 256), strings.Repeat("a", 257)
	crowd := []string{long257}
	for range 20 {
		crowd = append(crowd, long256)
	}
	hello := network.Frame{Kind: network.Hello, Number: math.MaxUint64, ClaimTerm: 1 << 32, Home: long[:64], Addrs: crowd}.Bytes()
	if f, err := network.ParseFrame(hello); err != nil || len(f.Addrs) != 12 || f.Addrs[0] != long256 || len(hello) > network.SmallFrameBytes {
		t.Errorf("a hello of %d bytes with %d addresses, %v", len(hello), len(f.Addrs), err)
	}
	largest := network.Frame{Kind: network.Send, Value: make([]byte, channel.MaxValue)}.Bytes()
	if _, err := network.ParseFrame(largest); err != nil || len(largest) > network.MaxFrameBytes {
		t.Errorf("the largest value: frame of %d bytes, %v", len(largest), err)
	}
}

// match is a match up to its addresses.
func match() []byte {
	b := network.Frame{Kind: network.Match, Peer: "x"}.Bytes()
	return b[:len(b)-1]
}

func FuzzFrame(f *testing.F) {
	for _, fr := range frames() {
		f.Add(fr.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		parsed, err := network.ParseFrame(b)
		if err != nil {
			if !errors.Is(err, codec.ErrMalformed) {
				t.Error(err)
			}
			return
		}
		if again := parsed.Bytes(); !bytes.Equal(again, b) {
			t.Errorf("%x was accepted and is written as %x", b, again)
		}
	})
}

// The corpora hold at least every kind of frame.
func TestCorporaAreNotEmpty(t *testing.T) {
	for _, name := range []string{"FuzzFrame", "FuzzHostileSession"} {
		files, err := filepath.Glob(filepath.Join("testdata", "fuzz", name, "*"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s has no corpus, %v", name, err)
		}
	}
	for name := range frames() {
		if _, err := os.Stat(filepath.Join("testdata", "fuzz", "FuzzFrame", name)); err != nil {
			t.Error(err)
		}
	}
}

// seeded returns a source of randomness whose seed is in the test's output.
func seeded(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Of two claims that differ one is better, and no circle of them leads on
// forever.
func TestClaimsAreOrdered(t *testing.T) {
	r := seeded(t)
	random := func() network.Claim {
		if r.IntN(20) == 0 {
			return network.Claim{}
		}
		c := network.Claim{Term: 1 + r.Uint64N(3), Home: p2p.ID(hex.EncodeToString([]byte{byte(r.IntN(6))}))}
		if r.IntN(10) == 0 {
			c.Term = math.MaxUint64 - r.Uint64N(2)
		}
		return c
	}
	for range 20_000 {
		var key [32]byte
		for i := range key {
			key[i] = byte(r.Uint32())
		}
		a, b, c := random(), random(), random()
		if a.Better(a, key) {
			t.Fatalf("%v is better than itself", a)
		}
		if ab, ba := a.Better(b, key), b.Better(a, key); ab == ba && a != b {
			t.Fatalf("of %v and %v: %v, %v", a, b, ab, ba)
		}
		if a.Better(b, key) && b.Better(c, key) && !a.Better(c, key) {
			t.Fatalf("%v, %v, %v: not transitive", a, b, c)
		}
		if a.Home != "" && !a.Better(network.Claim{}, key) {
			t.Fatalf("%v is not better than nobody", a)
		}
	}
}

// A queue does what the same operations on a slice do.
func TestQueue(t *testing.T) {
	r := seeded(t)
	type entry struct {
		op    *network.Operation
		owner int
		id    uint64
	}
	for range 300 {
		var (
			q     network.Queue
			model []entry
			out   []entry // were removed
			next  uint64
		)
		for range 60 {
			var done string
			switch n := r.IntN(10); {
			case n < 3:
				done = "push"
				next++
				owner := r.IntN(3)
				e := entry{q.New(owner, next), owner, next}
				q.Push(e.op)
				model = append(model, e)
			case n < 6 && len(out) > 0:
				done = "restore"
				i := r.IntN(len(out))
				e := out[i]
				out = slices.Delete(out, i, i+1)
				q.Restore(e.op)
				// Before what its owner submitted later, else last.
				at := slices.IndexFunc(model, func(o entry) bool { return o.owner == e.owner && o.id > e.id })
				if at < 0 {
					at = len(model)
				}
				model = slices.Insert(model, at, e)
			case n < 9 && len(model) > 0:
				done = "remove"
				i := r.IntN(len(model))
				out = append(out, model[i])
				q.Remove(model[i].op)
				q.Remove(model[i].op) // again does nothing
				model = slices.Delete(model, i, i+1)
			case n == 9: // only in the order of the owner's ids
				done = "insert"
				next++
				owner := 10 + int(next) // nobody else's
				e := entry{q.New(owner, next), owner, next}
				i := r.IntN(len(model) + 1)
				if i == 0 {
					q.Insert(e.op, nil)
				} else {
					q.Insert(e.op, model[i-1].op)
				}
				model = slices.Insert(model, i, e)
			}
			forth, back := q.All()
			slices.Reverse(back)
			want := make([]*network.Operation, len(model))
			for i, e := range model {
				want[i] = e.op
			}
			if !slices.Equal(forth, want) || !slices.Equal(back, want) || q.Length() != len(model) {
				t.Fatalf("after %s: %d forth, %d back, length %d, want %d", done, len(forth), len(back), q.Length(), len(want))
			}
		}
	}
}

package peertest_test

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	libp2p "github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multistream"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/peertest"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/content"
)

const resumable = "/dstackless/resumable/1.0.0"

// ends says how long a stream lasts, at most, on which a peer says nothing or
// begins to, and how long one on which it says that 4 EB follow, if not at once:
// it may have to wait behind the others.
type ends struct{ silent, oversized time.Duration }

// A peer that says nothing, or not all, is waited for so long; in each protocol
// that a peer speaks. Behind the name of resumable streams is what is said on them.
var waited = map[string]ends{
	"":                                   {10 * time.Second, 10 * time.Second}, // no protocol
	string(network.Protocol):             {6 * time.Second, 0},                 // and its connection is closed
	string(tasklet.Protocol):             {30 * time.Second, 0},
	string(content.Protocol):             {2 * time.Minute, 0},
	"/dstackless/name/1":                 {0, 0},
	"/dstackless/clock/1":                {10 * time.Second, 0},
	"/dstackless/withdraw/1":             {0, 0},
	resumable:                            {10 * time.Second, 0},
	resumable + string(network.Protocol): {30 * time.Second, 0},
	resumable + string(tasklet.Protocol): {time.Minute, 0},
	resumable + string(content.Protocol): {2 * time.Minute, 0},
	"/dstackless/kad/1.0.0":              {time.Minute, 0},
	"/ipfs/bitswap/1.2.0":                {2 * time.Minute, time.Minute},
	"/ipfs/bitswap/1.1.0":                {2 * time.Minute, time.Minute},
	"/ipfs/bitswap/1.0.0":                {2 * time.Minute, time.Minute},
	"/ipfs/bitswap":                      {2 * time.Minute, time.Minute},
	"/ipfs/id/1.0.0":                     {0, 0},
	"/ipfs/id/push/1.0.0":                {5 * time.Second, 0},
	"/ipfs/ping/1.0.0":                   {10 * time.Second, 10 * time.Second}, // knows no lengths
}

// said is what a hostile peer says on streams, each way, after it has begun as the
// protocol wants it.
func said(protocol string) (ways map[string][]byte) {
	var begin []byte
	half, long := []byte{100, 1, 2, 3}, binary.AppendUvarint(nil, 1<<62)
	switch carried, isCarrier := strings.CutPrefix(protocol, resumable); {
	case protocol == "":
		half, long = []byte{19, '/'}, binary.AppendUvarint(nil, 1<<14)
	case protocol == string(network.Protocol):
		begin = make([]byte, network.Preamble)
	case protocol == resumable: // a hello
		half, long = []byte{1, 2}, append(make([]byte, 17), binary.AppendUvarint([]byte{1}, 1<<62)...)
		long[0] = 1
	case isCarrier: // a hello that is whole, and then a piece
		hello := append(make([]byte, 17), 0, 1, byte(len(carried)))
		rand.Read(hello[1:17])
		hello[0] = 1
		begin = append(hello, carried...)
		half, long = append([]byte{1, 0}, half...), append([]byte{1, 0}, long...)
	}
	add := func(b []byte) []byte { return append(begin[:len(begin):len(begin)], b...) }
	ways = map[string][]byte{"stalled": add(half), "oversized": add(long)}
	if protocol != "" { // else it would be no stream at all, with QUIC
		ways["silent"] = begin
	}
	return ways
}

// A hostile peer opens streams in each protocol, and holds them open as long as it
// can. All end in time, and honest peers go on meanwhile.
func TestHeldStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, p := range begin(t, 1).Host(0).Mux().Protocols() {
			if _, known := waited[string(p)]; !known {
				t.Errorf("how long is a peer waited for that says nothing in protocol %s?", p)
			}
		}
	})
	for protocol, limits := range waited {
		t.Run(strings.ReplaceAll(protocol, "/", " "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { hold(t, protocol, limits) })
		})
	}
}

// begin starts peers that speak all protocols.
func begin(t *testing.T, peers int) *peertest.Network {
	return peertest.New(t, peers, &peertest.Options{
		Simulated: true,
		Peer:      func(i int, o *dstackless.Options) { o.Name = []string{"victim", "honest", "hostile"}[i] },
	})
}

func hold(t *testing.T, protocol string, limits ends) {
	const each = 70 // streams of each way
	nw := begin(t, 3)
	victim, hostile := nw.Host(0), nw.Host(2)
	home, honest := open(t, nw.Peer(0), "in honour"), open(t, nw.Peer(1), "in honour")
	if err := exchange(t, honest, home, time.Minute); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute) // what they say to each other at first is said

	conn := hostile.Network().ConnsToPeer(victim.ID())[0]
	start := time.Now()
	var held sync.WaitGroup
	for _, way := range []string{"silent", "stalled", "oversized"} {
		for range each {
			words, ok := said(protocol)[way]
			if !ok {
				continue
			}
			limit := limits.silent
			if way == "oversized" {
				limit = limits.oversized
			}
			s, err := conn.NewStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			held.Go(func() {
				name, _, isCarrier := strings.Cut(protocol, resumable)
				if isCarrier {
					name = resumable
				}
				if name != "" && multistream.SelectProtoOrFail(p2p.Protocol(name), s) != nil {
					return // it is full
				}
				s.Write(words)
				s.SetReadDeadline(start.Add(10 * time.Minute))
				io.Copy(io.Discard, s)
				if took := time.Since(start); took > limit+2*time.Second {
					t.Errorf("%s: ended after %v, want %v", way, took, limit)
				}
			})
		}
	}
	opened := time.Now()
	over := make(chan struct{})
	go func() {
		held.Wait()
		close(over)
	}()
	for done := false; !done; {
		if err := exchange(t, honest, home, 2*time.Second); err != nil {
			t.Error("an honest peer:", err)
		}
		if protocol == string(content.Protocol) {
			asks(t, nw)
		}
		select {
		case <-over:
			done = true
		case <-time.After(5 * time.Second):
		}
	}
	time.Sleep(time.Minute) // for what is only left to be forgotten
	for _, c := range victim.Network().ConnsToPeer(hostile.ID()) {
		for _, s := range c.GetStreams() {
			if at := s.Stat().Opened; s.Stat().Direction == libp2p.DirInbound && !at.Before(start) && !at.After(opened) {
				t.Errorf("a stream is left: %s", s.Protocol())
			}
		}
	}
}

// asks has the honest peer ask for a block that the victim does not have.
func asks(t *testing.T, nw *peertest.Network) {
	t.Helper()
	s, err := nw.Host(1).NewStream(t.Context(), nw.Host(0).ID(), content.Protocol)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(time.Second))
	cid := append([]byte{36, 1, 0x55, 0x12, 32}, make([]byte, 32)...)
	s.Write(cid)
	if b, err := io.ReadAll(io.LimitReader(s, 1)); err != nil || len(b) != 1 || b[0] != 0 {
		t.Errorf("an honest peer hears %x, %v", b, err)
	}
}

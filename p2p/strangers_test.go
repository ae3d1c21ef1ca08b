package p2p_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/p2p/quota"
)

// strangers are hostile hosts at some loopback addresses, 127.0.0.2 and those
// that follow, each connected to a node by TCP.
func strangers(t *testing.T, victim *p2p.Node, addresses, each int) (list []host.Host) {
	t.Helper()
	var byTCP peer.AddrInfo
	byTCP.ID = victim.ID()
	for _, a := range victim.Host().Addrs() {
		if _, err := a.ValueForProtocol(ma.P_TCP); err == nil {
			byTCP.Addrs = append(byTCP.Addrs, a)
		}
	}
	for i := range addresses * each {
		h, err := libp2p.New(
			libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/127.0.0.%d/tcp/0", 2+i%addresses)), // and dials from there
			libp2p.Transport(tcp.NewTCPTransport),
			libp2p.ResourceManager(&network.NullResourceManager{}),
		)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		if err := h.Connect(within(t), byTCP); err != nil {
			t.Fatal(err)
		}
		list = append(list, h)
	}
	return list
}

// helloResumable opens a resumable stream by hand, and hears whether it is taken.
func helloResumable(t *testing.T, h host.Host, victim *p2p.Node, p p2p.Protocol) (network.Stream, bool) {
	t.Helper()
	s, err := h.NewStream(within(t), victim.ID(), "/dstackless/resumable/1.0.0")
	if err != nil {
		return nil, false
	}
	t.Cleanup(func() { s.Reset() })
	hello := make([]byte, 17)
	hello[0] = 1
	rand.Read(hello[1:])
	hello = append(hello, 0, 1, byte(len(p)))
	s.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := s.Write(append(hello, p...)); err != nil {
		return nil, false
	}
	verdict := []byte{1}
	_, err = io.ReadFull(s, verdict)
	return s, err == nil && verdict[0] == 0
}

// echoes has a resumable stream that serveEcho serves carry something.
func echoes(t *testing.T, s p2p.Stream) {
	t.Helper()
	s.SetDeadline(time.Now().Add(10 * time.Second))
	text := make([]byte, 100)
	if _, err := s.Write(text); err != nil {
		t.Fatal("an honest stream is not served:", err)
	}
	if _, err := io.ReadFull(s, text); err != nil {
		t.Fatal("an honest stream is not served:", err)
	}
}

// Strangers on 16 addresses open all the resumable streams that there are. One at
// another address finds room, and so do known peers; streams that were there
// before stay.
func TestStrangersOpenResumables(t *testing.T) {
	victim := start(t)
	victim.Handle(echo, serveEcho)
	limits := quota.Limits{All: 160, Strangers: 120, Each: 32}
	victim.LimitResumables(limits, p2p.UnreadLimits)
	before, after, friend := start(t), start(t), start(t)
	victim.Protect(friend.ID())
	for _, n := range []*p2p.Node{before, after, friend} {
		connect(t, n, victim)
	}
	old, err := before.OpenResumable(within(t), victim.ID(), echo)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Reset()
	echoes(t, old)
	taken := 0
	for _, h := range strangers(t, victim, 16, 1) {
		for range 10 {
			if _, ok := helloResumable(t, h, victim, echo); ok {
				taken++
			}
		}
	}
	known, some := victim.OpenedResumables()
	t.Logf("%d were taken, strangers have %d, known peers %d", taken, some, known)
	if taken < limits.Strangers-2 || some > limits.Strangers || some < limits.Strangers-16 {
		t.Errorf("%d were taken, strangers have %d: want to reach %d and no more", taken, some, limits.Strangers)
	}
	s, err := after.OpenResumable(within(t), victim.ID(), echo)
	if err != nil {
		t.Fatal("a stranger at another address finds no room:", err)
	}
	defer s.Reset()
	echoes(t, s)
	for range limits.Each {
		s, err := friend.OpenResumable(within(t), victim.ID(), echo)
		if err != nil {
			t.Fatal("a known peer finds no room:", err)
		}
		defer s.Reset()
		echoes(t, s)
	}
	echoes(t, s)
	echoes(t, old)
}

// Strangers on 16 addresses fill what all resumable streams may keep unread. The
// streams of others go on, whatever they bring.
func TestStrangersFillResumables(t *testing.T) {
	const deaf p2p.Protocol = "/test/deaf/1"
	victim, honest := start(t), start(t)
	end := make(chan struct{})
	defer close(end)
	victim.Handle(deaf, func(s p2p.Stream) { <-end; s.Reset() })
	victim.Handle(echo, serveEcho)
	unread := quota.Limits{All: 8 << 20, Strangers: 6 << 20, Each: 1 << 20}
	victim.LimitResumables(p2p.ResumableLimits, unread)
	connect(t, honest, victim)
	old, err := honest.OpenResumable(within(t), victim.ID(), echo)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Reset()
	echoes(t, old)
	piece := make([]byte, 0, 17<<10)
	for _, h := range strangers(t, victim, 16, 1) {
		for range 4 {
			s, ok := helloResumable(t, h, victim, deaf)
			if !ok {
				t.Fatal("a stream is not taken")
			}
			const size = 16 << 10
			for at := uint64(0); at < 240<<10; at += size {
				piece = append(binary.AppendUvarint(append(piece[:0], 1), at), 0x80, 0x80, 1)
				s.Write(append(piece, make([]byte, size)...)) // it may have been reset
			}
		}
	}
	most := func() int { known, some := victim.Unread(); return known + some }
	for ctx := within(t); most() < unread.Strangers*3/4; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("%d bytes are kept unread: the bound was not reached", most())
		}
	}
	if n := most(); n > unread.All {
		t.Errorf("%d bytes are kept unread", n)
	}
	echoes(t, old)
	old.SetDeadline(time.Now().Add(20 * time.Second))
	if err := exchange(old, old.CloseWrite, 1<<20, 1, 1); err != nil {
		t.Error("an honest stream is not served:", err)
	}
}

// A handler writes to strangers that never say that they have received anything.
// What is kept of that is bounded, and others are served.
func TestStrangersDoNotReceive(t *testing.T) {
	const endless p2p.Protocol = "/test/endless/1"
	victim, honest := start(t), start(t)
	unsent := quota.Limits{All: 4 << 20, Strangers: 3 << 20, Each: 1 << 20}
	victim.LimitUnsent(unsent)
	victim.Handle(endless, func(s p2p.Stream) {
		defer s.Reset()
		for b := make([]byte, 64<<10); ; {
			if _, err := s.Write(b); err != nil {
				return
			}
		}
	})
	victim.Handle(echo, serveEcho)
	connect(t, honest, victim)
	for _, h := range strangers(t, victim, 16, 1) {
		for range 4 {
			helloResumable(t, h, victim, endless)
		}
	}
	for ctx := within(t); victim.Unsent() < unsent.Strangers*3/4; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("%d bytes are kept: the bound was not reached", victim.Unsent())
		}
	}
	if n := victim.Unsent(); n > unsent.Strangers {
		t.Errorf("%d bytes are kept, want %d at most", n, unsent.Strangers)
	}
	s, err := honest.OpenResumable(within(t), victim.ID(), echo)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(20 * time.Second))
	if err := exchange(s, s.CloseWrite, 1<<20, 1, 1); err != nil {
		t.Error("an honest stream is not served:", err)
	}
}

// Resumable streams that have ended keep no buffers, and strangers on 16 addresses
// have no more of them be known than there may be.
func TestEndedResumables(t *testing.T) {
	victim, honest := start(t), start(t)
	victim.Handle(echo, serveEcho)
	ended := quota.Limits{All: 400, Strangers: 300, Each: 100}
	victim.LimitEnded(ended)
	connect(t, honest, victim)
	for range 50 {
		s, err := honest.OpenResumable(within(t), victim.ID(), echo)
		if err != nil {
			t.Fatal(err)
		}
		s.SetDeadline(time.Now().Add(20 * time.Second))
		if err := exchange(s, s.CloseWrite, 10<<10, 1, 1); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	for ctx := within(t); ; time.Sleep(time.Millisecond) {
		n, bytes := victim.EndedBuffers()
		if n == 50 && bytes == 0 {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("%d streams have ended, and have buffers of %d bytes", n, bytes)
		}
	}
	for i := range 16 {
		stranger := start(t, fmt.Sprintf("/ip4/127.0.0.%d/tcp/0", 2+i))
		for _, a := range victim.Addrs() {
			if strings.Contains(a, "/tcp/") {
				if _, err := stranger.Connect(within(t), a); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 30 {
			s, err := stranger.OpenResumable(within(t), victim.ID(), echo)
			if err != nil {
				t.Fatal(err)
			}
			s.SetDeadline(time.Now().Add(20 * time.Second))
			if err := exchange(s, s.CloseWrite, 10, 1, 1); err != nil {
				t.Fatal(err)
			}
			s.Close()
		}
	}
	if n := victim.Ended(); n > ended.Strangers || n < ended.Strangers*3/4 {
		t.Errorf("%d streams that have ended are known, want to reach %d and no more", n, ended.Strangers)
	}
}

// One that opens streams of a protocol that a library serves gets a few, and
// strangers on 16 addresses keep nobody out.
func TestStrangersOfLibraries(t *testing.T) {
	const library p2p.Protocol = "/test/library/1"
	victim, honest := start(t), start(t)
	serve := func(s network.Stream) { serveEcho(s) }
	victim.Host().SetStreamHandler(library, serve)
	connect(t, honest, victim)
	open := func(h host.Host, tries int) (taken int) {
		for range tries {
			s, err := h.NewStream(within(t), victim.ID(), library)
			if err != nil {
				continue
			}
			t.Cleanup(func() { s.Reset() })
			s.SetDeadline(time.Now().Add(10 * time.Second))
			s.Write([]byte{1})
			if _, err := io.ReadFull(s, make([]byte, 1)); err == nil {
				taken++
			}
		}
		return taken
	}
	list := strangers(t, victim, 16, 2)
	if n := open(list[0], 40); n != p2p.LibraryLimits.Each {
		t.Errorf("one stranger has %d streams, want %d", n, p2p.LibraryLimits.Each)
	}
	all := 0
	for _, h := range list[1:] {
		all += open(h, p2p.LibraryLimits.Each)
	}
	if all < p2p.LibraryLimits.Strangers {
		t.Errorf("%d streams were taken: the bound of %d was not reached", all, p2p.LibraryLimits.Strangers)
	}
	if got := say(t, honest, victim.ID(), "hello", library); got != "hello" {
		t.Errorf("%q", got)
	}
}

// Strangers on 16 addresses open all the streams that there are, and say nothing
// on them, or take all the memory of multiplexers. Others are served.
func TestStrangersOpenStreams(t *testing.T) {
	for name, limits := range map[string][2]quota.Limits{
		"streams": {{All: 200, Strangers: 150, Each: 64}, {All: 1 << 40, Strangers: 1 << 40}},
		"memory":  {{All: 1 << 20, Strangers: 1 << 20}, {All: 200 << 18, Strangers: 150 << 18}},
	} {
		t.Run(name, func(t *testing.T) {
			victim := start(t, listens["tcp"])
			victim.LimitStreams(limits[0], limits[1])
			victim.Handle(echo, serveEcho)
			honest := start(t, listens["tcp"])
			connect(t, honest, victim)
			for _, h := range strangers(t, victim, 16, 1) {
				for range 20 {
					if conns := h.Network().ConnsToPeer(victim.ID()); len(conns) > 0 {
						s, err := conns[0].NewStream(within(t))
						if err == nil {
							t.Cleanup(func() { s.Reset() })
							s.Write([]byte{19}) // the length of a word, and no word
						}
					}
				}
			}
			for range 5 {
				if got := say(t, honest, victim.ID(), "hello", echo); got != "hello" {
					t.Errorf("%q", got)
				}
			}
			late := start(t, listens["tcp"])
			connect(t, late, victim)
			if got := say(t, late, victim.ID(), "hello", echo); got != "hello" {
				t.Errorf("%q", got)
			}
			streams, memory := victim.Streams()
			t.Logf("strangers have %d streams with %d KiB", streams, memory>>10)
			if streams > limits[0].Strangers || memory > limits[1].Strangers {
				t.Errorf("strangers have %d streams with %d bytes", streams, memory)
			}
			if streams < 100 {
				t.Error("the bound was not reached")
			}
		})
	}
}

// Strangers on 16 addresses take all the reservations of a relay. One at another
// address gets one.
func TestStrangersReserve(t *testing.T) {
	victim := startWith(t, p2p.Options{Listen: loopback, Relay: &p2p.RelayLimits{Reservations: 32}})
	info := peer.AddrInfo{ID: victim.ID(), Addrs: victim.Host().Addrs()}
	taken := 0
	for _, h := range strangers(t, victim, 16, 3) {
		if _, err := client.Reserve(within(t), h, info); err == nil {
			taken++
		}
	}
	if taken < 24 {
		t.Errorf("%d reservations were taken, want to reach 24", taken)
	}
	for range 3 {
		honest := start(t)
		connect(t, honest, victim)
		if _, err := client.Reserve(within(t), honest.Host(), info); err != nil {
			t.Error("an honest peer gets no reservation:", err)
		}
	}
}

// Strangers on 16 addresses have all the connections that there are. One at
// another address comes in, and a known peer.
func TestStrangersConnect(t *testing.T) {
	victim := start(t)
	victim.LimitConnections(quota.Limits{All: 80, Strangers: 60})
	honest, friend := start(t), start(t)
	victim.Protect(friend.ID())
	connect(t, honest, victim)
	for range 80 {
		strangers(t, victim, 16, 1)
		if n := len(victim.Peers()); n > 80 {
			t.Fatalf("%d peers are connected", n)
		} else if n >= 55 {
			break
		}
	}
	late := start(t)
	for _, n := range []*p2p.Node{late, friend} {
		connect(t, n, victim)
	}
	strangers(t, victim, 16, 1)
	victim.Handle(echo, serveEcho)
	for _, n := range []*p2p.Node{honest, late, friend} {
		if got := say(t, n, victim.ID(), "hello", echo); got != "hello" {
			t.Errorf("%q", got)
		}
	}
}

// Silent TCP connections, which do not even begin the handshake, end when there
// are too many, and others come in.
func TestSilentConnections(t *testing.T) {
	victim := start(t, listens["tcp"])
	for i := range p2p.HandshakesMax + 64 {
		dialRaw(t, fmt.Sprintf("127.0.0.%d", 1+i%2), victim)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for range 3 {
		if _, err := start(t, listens["tcp"]).Connect(ctx, victim.Addrs()[0]); err != nil {
			t.Fatal("an honest peer does not come in:", err)
		}
	}
}

// dialRaw connects to a node from a loopback address, and says nothing.
func dialRaw(t *testing.T, addr string, victim *p2p.Node) {
	t.Helper()
	_, to, err := manet.DialArgs(victim.Host().Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	c, err := d.DialContext(within(t), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
}

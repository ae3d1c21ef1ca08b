package p2p_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dstackless/dstackless/p2p"
)

const both p2p.Protocol = "/test/both"

// relayed starts two nodes that are connected through a third, which cuts what
// it carries after so many bytes.
func relayed(t *testing.T, limits p2p.RelayLimits) (a, b, relay *p2p.Node) {
	t.Helper()
	return relayedOn(t, limits, loopback, loopback)
}

// relayedOn is relayed for two nodes that listen there: if they have no
// transport in common, there is no other way from one to the other.
func relayedOn(t *testing.T, limits p2p.RelayLimits, atA, atB []string) (a, b, relay *p2p.Node) {
	t.Helper()
	relay = startWith(t, p2p.Options{Listen: loopback, Relay: &limits})
	a, b = startWith(t, p2p.Options{Listen: atA}), startWith(t, p2p.Options{Listen: atB})
	for _, addr := range relay.Addrs() {
		a.Connect(within(t), addr) // one of the two is of its transport
		b.Connect(within(t), addr)
	}
	info := peer.AddrInfo{ID: relay.ID(), Addrs: relay.Host().Addrs()}
	if _, err := client.Reserve(within(t), b.Host(), info); err != nil {
		t.Fatal(err)
	}
	addr := "/p2p/" + relay.ID().String() + "/p2p-circuit/p2p/" + b.ID().String()
	if _, err := a.Connect(within(t), addr); err != nil {
		t.Fatal(err)
	}
	return a, b, relay
}

func startWith(t *testing.T, o p2p.Options) *p2p.Node {
	t.Helper()
	n, err := p2p.Start(&o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// data returns n bytes that no compression helps with.
func data(n int, seed byte) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// exchange has both ends of a stream send n bytes and check what they receive.
func exchange(s io.ReadWriter, closeWrite func() error, n int, send, receive byte) error {
	written := make(chan error, 1)
	go func() {
		_, err := s.Write(data(n, send))
		written <- errors.Join(err, closeWrite())
	}()
	got, err := io.ReadAll(s)
	if err := errors.Join(err, <-written); err != nil {
		return err
	}
	if want := data(n, receive); !bytes.Equal(got, want) {
		return errors.New("received " + sum(got) + ", want " + sum(want))
	}
	return nil
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return string(s[:4])
}

func TestResumableOverRelay(t *testing.T) {
	a, b, _ := relayedOn(t, p2p.RelayLimits{Data: 64 << 10}, loopback[:1], loopback[1:])
	const size = 1 << 20
	served := make(chan error, 1)
	b.Handle(both, func(s p2p.Stream) {
		defer s.Close()
		served <- exchange(s, s.CloseWrite, size, 2, 1)
	})
	s, err := a.Open(within(t), b.ID(), "/test/none", both)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Protocol() != both || s.Conn().RemotePeer() != b.ID() {
		t.Errorf("protocol %s to %s", s.Protocol(), s.Conn().RemotePeer())
	}
	s.SetDeadline(time.Now().Add(30 * time.Second))
	start := time.Now()
	if err := exchange(s, s.CloseWrite, size, 1, 2); err != nil {
		t.Fatalf("at the side that opened: %v", err)
	}
	if err := <-served; err != nil {
		t.Fatalf("at the side that accepted: %v", err)
	}
	t.Logf("1 MiB each way over a relay that cuts after 64 KiB: %v", time.Since(start))
	for _, p := range a.Peers() {
		if p.ID == b.ID() && !p.Relayed {
			t.Error("it was not relayed")
		}
	}
}

func TestResumableLeavesTheRelay(t *testing.T) {
	a, b, _ := relayed(t, p2p.RelayLimits{})
	b.Handle(echo, func(s p2p.Stream) {
		io.Copy(s, s)
		s.Close()
	})
	s, err := a.Open(within(t), b.ID(), echo)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	talk(t, s, "over the relay")
	if !s.Conn().Stat().Limited {
		t.Error("the stream is not relayed")
	}
	connect(t, a, b)
	for deadline := time.Now().Add(10 * time.Second); s.Conn().Stat().Limited; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the stream stays on the relay")
		}
	}
	talk(t, s, "directly")
	for _, p := range a.Peers() {
		if p.ID == b.ID() && (p.Relayed || !p.Punched) {
			t.Errorf("%+v", p)
		}
	}
}

// talk sends a text and waits for its echo.
func talk(t *testing.T, s p2p.Stream, text string) {
	t.Helper()
	if _, err := s.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(s, b); err != nil || string(b) != text {
		t.Fatalf("%q, %v, want %q", b, err, text)
	}
}

func TestResumableSurvivesItsConnections(t *testing.T) {
	a, b := start(t), start(t)
	connect(t, a, b)
	b.Handle(echo, func(s p2p.Stream) {
		io.Copy(s, s)
		s.Close()
	})
	s, err := a.OpenResumable(within(t), b.ID(), echo)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(20 * time.Second))
	want := data(4<<20, 3)
	go func() {
		for i := 0; i < len(want); i += 1 << 16 {
			if i%(1<<20) == 0 {
				by := []*p2p.Node{a, b}[i>>20%2]
				for _, c := range by.Host().Network().Conns() {
					c.Close()
				}
			}
			s.Write(want[i : i+1<<16])
		}
		s.CloseWrite()
	}()
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestResumableEnds(t *testing.T) {
	a, b, _ := relayed(t, p2p.RelayLimits{})
	ends := make(chan error, 1)
	b.Handle(echo, func(s p2p.Stream) {
		_, err := io.Copy(s, s)
		ends <- err
		s.Reset()
	})
	open := func() p2p.Stream {
		t.Helper()
		s, err := a.Open(within(t), b.ID(), echo)
		if err != nil {
			t.Fatal(err)
		}
		talk(t, s, "hello")
		return s
	}
	t.Run("reset", func(t *testing.T) {
		s := open()
		s.Reset()
		if err := <-ends; err == nil {
			t.Error("the peer does not hear of the reset")
		}
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, network.ErrReset) || !strings.Contains(err.Error(), b.ID().String()) {
			t.Errorf("read after reset: %v, want one that names the peer", err)
		}
		if _, err := s.Write([]byte("x")); !errors.Is(err, network.ErrReset) || !strings.Contains(err.Error(), b.ID().String()) {
			t.Errorf("write after reset: %v, want one that names the peer", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		s := open()
		s.Close()
		if err := <-ends; err != nil {
			t.Errorf("the peer hears %v", err)
		}
	})
	t.Run("peer resets", func(t *testing.T) {
		s := open()
		s.CloseWrite() // the peer resets at the end
		<-ends
		if _, err := io.ReadAll(s); err == nil {
			t.Log("ended in good order") // the end was faster
		}
		if _, err := s.Write([]byte("x")); err == nil {
			t.Error("written after the end")
		}
	})
	t.Run("deadline", func(t *testing.T) {
		s := open()
		s.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
		s.SetReadDeadline(time.Time{})
		talk(t, s, "again")
		s.Reset()
		<-ends
	})
	t.Run("none", func(t *testing.T) {
		if _, err := a.Open(within(t), b.ID(), "/test/none"); !errors.Is(err, p2p.ErrProtocol) {
			t.Errorf("%v, want ErrProtocol", err)
		}
	})
	t.Run("node closes", func(t *testing.T) {
		s := open()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		<-ends
		start := time.Now()
		if _, err := s.Read(make([]byte, 1)); err == nil || err != io.EOF && !strings.Contains(err.Error(), b.ID().String()) {
			t.Errorf("read from a peer that is gone: %v", err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("learned of it after %v", d)
		}
	})
}

// A peer that does not read makes the other wait, and holds no more than the
// window of what it was sent.
// A peer that opens and ends one stream after the other is not refused soon.
func TestResumableEndsMakeRoom(t *testing.T) {
	local := []string{"/ip4/127.0.0.1/tcp/0"}
	a, b := startWith(t, p2p.Options{Listen: local}), startWith(t, p2p.Options{Listen: local})
	ended := make(chan struct{})
	b.Handle(echo, func(s p2p.Stream) {
		io.Copy(io.Discard, s)
		s.Reset()
		ended <- struct{}{}
	})
	if _, err := a.Connect(within(t), b.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	for n := range 1100 { // more than may be open
		s, err := a.OpenResumable(within(t), b.ID(), echo)
		if err != nil {
			t.Fatalf("stream %d: %v", n, err)
		}
		s.Reset()
		<-ended
	}
}

func TestResumableWaitsForTheReader(t *testing.T) {
	a, b, _ := relayed(t, p2p.RelayLimits{})
	read := make(chan struct{})
	done := make(chan int64, 1)
	b.Handle(both, func(s p2p.Stream) {
		<-read
		n, _ := io.Copy(io.Discard, s)
		done <- n
		s.Close()
	})
	s, err := a.Open(within(t), b.ID(), both)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	deadline, _ := ctx.Deadline()
	s.SetWriteDeadline(deadline)
	n, err := s.Write(make([]byte, 8<<20))
	if err == nil || n > 1<<20 {
		t.Errorf("wrote %d bytes to a peer that does not read: %v", n, err)
	}
	close(read)
	s.CloseWrite()
	if got := <-done; got != int64(n) {
		t.Errorf("%d bytes came of %d", got, n)
	}
}

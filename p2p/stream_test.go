package p2p_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/p2p"
)

const echo = p2p.Protocol("/test/echo/1")

func serveEcho(s p2p.Stream) {
	defer s.Close()
	io.Copy(s, s)
}

// say sends text to a peer and returns what comes back.
func say(t *testing.T, from *p2p.Node, to p2p.ID, text string, protocols ...p2p.Protocol) string {
	t.Helper()
	s, err := from.Open(within(t), to, protocols...)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := io.WriteString(s, text); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	back, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(back)
}

func TestOpen(t *testing.T) {
	a, b := start(t), start(t)
	a.Handle(echo, serveEcho)
	b.AddAddrs(a.ID(), a.Addrs()) // not connected: Open dials
	if got := say(t, b, a.ID(), "hello", "/test/newer/2", echo); got != "hello" {
		t.Errorf("echo of hello is %q", got)
	}
}

func TestOpenErrors(t *testing.T) {
	a, b := start(t), start(t)
	a.Handle(echo, serveEcho)
	gone := start(t, "/ip4/127.0.0.1/tcp/0") // QUIC takes 5 s to give up
	b.AddAddrs(gone.ID(), gone.Addrs())
	gone.Close()
	unknown, err := p2p.ParseID(stranger)
	if err != nil {
		t.Fatal(err)
	}
	connect(t, b, a)
	for name, c := range map[string]struct {
		to        p2p.ID
		protocols []p2p.Protocol
		is        error
	}{
		"itself":      {b.ID(), []p2p.Protocol{echo}, p2p.ErrSelf},
		"unknown":     {unknown, []p2p.Protocol{echo}, p2p.ErrUnknownPeer},
		"gone":        {gone.ID(), []p2p.Protocol{echo}, p2p.ErrUnreachable},
		"protocol":    {a.ID(), []p2p.Protocol{"/test/other/1", "/test/other/2"}, p2p.ErrProtocol},
		"no protocol": {a.ID(), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.Open(within(t), c.to, c.protocols...)
			if err == nil || c.is != nil && !errors.Is(err, c.is) {
				t.Fatalf("error %v, want %v", err, c.is)
			}
			if !strings.Contains(err.Error(), c.to.String()) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q should name the peer, on one line", err)
			}
			t.Log(err)
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := b.Open(ctx, a.ID(), echo); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want the context's", err)
		}
	})
}

func TestUnhandle(t *testing.T) {
	a, b := start(t), start(t)
	a.Handle(echo, serveEcho)
	a.Unhandle(echo)
	connect(t, b, a)
	if _, err := b.Open(within(t), a.ID(), echo); !errors.Is(err, p2p.ErrProtocol) {
		t.Errorf("error %v, want ErrProtocol", err)
	}
	// And again: a handler set after the peers met is found as well.
	a.Handle(echo, serveEcho)
	if got := say(t, b, a.ID(), "hello", echo); got != "hello" {
		t.Errorf("echo of hello is %q", got)
	}
}

func TestCloseResetsStreamsAndWaits(t *testing.T) {
	for _, listen := range loopback {
		t.Run(listen, func(t *testing.T) {
			a, b := start(t, listen), start(t, listen)
			began := make(chan struct{})
			over := false // Close orders its writer before its reader
			a.Handle(echo, func(s p2p.Stream) {
				defer s.Reset()
				close(began)
				var one [1]byte
				for {
					if _, err := s.Read(one[:]); err != nil {
						for range 10_000 { // give Close every chance to be early
							runtime.Gosched()
						}
						over = true
						return
					}
				}
			})
			connect(t, b, a)
			s, err := b.Open(within(t), a.ID(), echo)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			<-began
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			if !over {
				t.Error("Close returned before the handler did")
			}
			if _, err := s.Read(make([]byte, 1)); err == nil || err == io.EOF {
				t.Errorf("the other end reads %v, want a reset", err)
			}
		})
	}
}

func TestManyStreams(t *testing.T) {
	a, b := start(t), start(t)
	a.Handle(echo, serveEcho)
	connect(t, b, a)
	// Far more than the 64 of one protocol that libp2p's limits allow.
	for i := range 500 {
		s, err := b.Open(within(t), a.ID(), echo)
		if err != nil {
			t.Fatal(i, err)
		}
		defer s.Reset()
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(i, err)
		}
		if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
			t.Fatal(i, err)
		}
	}
}

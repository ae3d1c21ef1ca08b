package p2p_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

func TestBlock(t *testing.T) {
	for transport, addr := range listens {
		t.Run(transport, func(t *testing.T) {
			dir := t.TempDir()
			a, b := startWith(t, p2p.Options{Listen: []string{addr}, DataDir: dir}), start(t, addr)
			a.Handle(echo, serveEcho)
			b.Handle(echo, serveEcho)
			connect(t, a, b)
			s, err := b.OpenResumable(within(t), a.ID(), echo)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Reset()
			for range 2 {
				if err := a.Block(b.ID()); err != nil {
					t.Fatal(err)
				}
			}
			if got := a.Blocked(); !slices.Equal(got, []p2p.ID{b.ID()}) || !a.IsBlocked(b.ID()) || a.IsBlocked(a.ID()) {
				t.Errorf("blocked: %v", got)
			}
			shut(t, a, b)

			// Also in the next run.
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			a = startWith(t, p2p.Options{Listen: []string{addr}, DataDir: dir})
			a.Handle(echo, serveEcho)
			shut(t, a, b)

			for range 2 {
				if err := a.Unblock(b.ID()); err != nil {
					t.Fatal(err)
				}
			}
			if got := a.Blocked(); len(got) > 0 {
				t.Errorf("blocked: %v", got)
			}
			// A dial of b that was begun before is sent away yet.
			for ctx := within(t); len(a.Peers()) == 0 || len(b.Peers()) == 0; {
				if b.Connect(ctx, a.Addrs()[0]); ctx.Err() != nil {
					t.Fatal("it does not come in any more")
				}
			}
			if got := say(t, b, a.ID(), "hello", echo); got != "hello" {
				t.Errorf("%q", got)
			}
		})
	}
}

// shut wants b to be shut out of a, from either side.
func shut(t *testing.T, a, b *p2p.Node) {
	t.Helper()
	if _, err := a.Connect(within(t), b.Addrs()[0]); !errors.Is(err, p2p.ErrBlocked) {
		t.Errorf("connect: %v, want ErrBlocked", err)
	}
	if _, err := a.Open(within(t), b.ID(), echo); !errors.Is(err, p2p.ErrBlocked) {
		t.Errorf("open: %v, want ErrBlocked", err)
	}
	// By QUIC, b takes itself for connected until it is sent away.
	b.Connect(within(t), a.Addrs()[0])
	for ctx := within(t); len(b.Peers()) > 0; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatal("it is not sent away")
		}
	}
	if p := a.Peers(); len(p) > 0 {
		t.Errorf("it comes in: %v", p)
	}
}

// A relay does not bring in who is blocked.
func TestBlockOverRelay(t *testing.T) {
	a, b, relay := relayedOn(t, p2p.RelayLimits{}, loopback[:1], loopback[1:])
	b.Handle(echo, serveEcho)
	if got := say(t, a, b.ID(), "hello", echo); got != "hello" {
		t.Fatalf("%q", got)
	}
	if err := b.Block(a.ID()); err != nil {
		t.Fatal(err)
	}
	ctx := within(t)
	for len(a.Peers()) > 1 { // the relay is left
		if ctx.Err() != nil {
			t.Fatal("it is not sent away")
		}
		time.Sleep(time.Millisecond)
	}
	a.Connect(ctx, "/p2p/"+relay.ID().String()+"/p2p-circuit/p2p/"+b.ID().String())
	if s, err := a.Open(ctx, b.ID(), echo); err == nil {
		s.SetDeadline(time.Now().Add(time.Second))
		s.Write([]byte("hello"))
		if n, err := s.Read(make([]byte, 1)); err == nil {
			t.Errorf("it comes in and hears %d bytes", n)
		}
		s.Reset()
	}
	for _, p := range b.Peers() {
		if p.ID == a.ID() {
			t.Errorf("it is connected: %+v", p)
		}
	}
}

func TestBlockErrors(t *testing.T) {
	dir := t.TempDir()
	a, b := startWith(t, p2p.Options{Listen: loopback, DataDir: dir}), start(t)
	if err := a.Block(a.ID()); !errors.Is(err, p2p.ErrSelf) {
		t.Errorf("%v, want ErrSelf", err)
	}
	// The list cannot be written: nothing has changed.
	if err := os.Mkdir(filepath.Join(dir, "blocked"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := a.Block(b.ID()); err == nil || len(a.Blocked()) > 0 {
		t.Errorf("%v, blocked: %v", err, a.Blocked())
	}
	connect(t, b, a)
	a.Close()
	for _, text := range []string{"nobody\n", b.ID().String() + "\n\n", b.ID().String() + " \n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "blocked"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := p2p.Start(&p2p.Options{Listen: loopback, DataDir: dir}); err == nil {
			n.Close()
			t.Errorf("the list %q is read", text)
		}
	}
}

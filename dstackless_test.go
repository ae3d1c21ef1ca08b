package dstackless_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/tasklet"
)

var loopback = []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}

func start(t *testing.T, o dstackless.Options) *dstackless.Peer {
	t.Helper()
	o.Listen = loopback
	p, err := dstackless.Start(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestDataDirKeepsTheKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "peer")
	p := start(t, dstackless.Options{DataDir: dir})
	id := p.ID()
	if _, err := dstackless.Start(t.Context(), &dstackless.Options{DataDir: dir}); !errors.Is(err, dstackless.ErrDataDir) {
		t.Errorf("a second peer on one folder: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if again := start(t, dstackless.Options{DataDir: dir}).ID(); again != id {
		t.Errorf("restarted, peer %s is %s", id, again)
	}
	info, err := os.Stat(filepath.Join(dir, "identity.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
}

func TestBadOptions(t *testing.T) {
	const one, two = "12D3KooWLLx9CNjmgptNu474mxMARWYneErRaHZD4eyB5evq3aQY", "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
	for name, o := range map[string]dstackless.Options{
		"listen":      {Listen: []string{"nonsense"}},
		"name":        {Name: "Alice"},
		"accept":      {Accept: []string{"nobody"}},
		"unpinned":    {Accept: []string{"alice"}},
		"pins":        {Accept: []string{"alice=" + one, "alice=" + two}},
		"pinned name": {Accept: []string{"Alice=" + one}},
		"no network":  {Accept: []string{dstackless.AcceptNetwork}},
		"bootstrap":   {Bootstrap: []string{"/ip4/127.0.0.1/tcp/1"}},
		"unreachable": {Bootstrap: []string{"/ip4/127.0.0.1/tcp/1/p2p/" + one}},
		"data folder": {DataDir: "/dev/null/peer"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if o.Listen == nil {
				o.Listen = loopback
			}
			p, err := dstackless.Start(ctx, &o)
			if err == nil {
				p.Close()
				t.Fatal("no error")
			}
			t.Log(err)
		})
	}
}

func TestNames(t *testing.T) {
	alice := start(t, dstackless.Options{Name: "alice"})
	bob := start(t, dstackless.Options{Accept: []string{"me=" + alice.ID()}})
	if _, err := bob.Connect(t.Context(), alice.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	if name, err := bob.NameOf(t.Context(), alice.ID()); name != "alice" || name != alice.Name() || err != nil {
		t.Errorf("alice's name is %q, %v", name, err)
	}
	for _, who := range []string{"alice", "me", alice.ID(), alice.ID()[:40]} {
		if id, err := bob.Lookup(t.Context(), who); id != alice.ID() || err != nil {
			t.Errorf("%s is %s, %v", who, id, err)
		}
		if _, err := bob.RoundTrip(t.Context(), who); err != nil {
			t.Error(err)
		}
	}
	if _, err := bob.NameOf(t.Context(), bob.ID()); !errors.Is(err, dht.ErrNoName) {
		t.Errorf("%v, want ErrNoName", err)
	}
	if _, err := alice.Lookup(t.Context(), "me"); !errors.Is(err, dht.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}

func TestClosedPeer(t *testing.T) {
	p := start(t, dstackless.Options{})
	c, err := channel.Open[int](t.Context(), p, "last")
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error)
	go func() {
		_, err := c.Receive(t.Context())
		waiting <- err
	}()
	for p.Channels()[0].Receives == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, channel.ErrClosed) {
		t.Errorf("waiting receive: %v", err)
	}
	if _, err := channel.Open[int](t.Context(), p, "late"); !errors.Is(err, channel.ErrClosed) {
		t.Errorf("open: %v", err)
	}
	if _, err := p.Spawn(t.Context(), nil); err == nil {
		t.Error("spawn: no error")
	}
}

func TestNotAProgram(t *testing.T) {
	p := start(t, dstackless.Options{})
	for name, wasm := range map[string][]byte{
		"nothing": nil,
		"text":    []byte("#!/bin/sh\n"),
		"empty":   []byte("\x00asm\x01\x00\x00\x00"),
	} {
		_, err := p.Spawn(t.Context(), wasm)
		if !errors.Is(err, tasklet.ErrProgram) || !strings.Contains(err.Error(), "GOOS=wasip1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMain(m *testing.M) {
	tasklet.RunCompiler()
	goleak.VerifyTestMain(m)
}

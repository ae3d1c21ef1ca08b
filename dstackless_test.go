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
	for name, o := range map[string]dstackless.Options{
		"listen":      {Listen: []string{"nonsense"}},
		"accept":      {Accept: []string{"nobody"}},
		"bootstrap":   {Bootstrap: []string{"/ip4/127.0.0.1/tcp/1"}},
		"unreachable": {Bootstrap: []string{"/ip4/127.0.0.1/tcp/1/p2p/12D3KooWLLx9CNjmgptNu474mxMARWYneErRaHZD4eyB5evq3aQY"}},
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

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

package tasklet_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless"
)

// build builds a program from testdata the way a user would.
func build(t testing.TB, name string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), name+".wasm")
	cmd := exec.Command("go", "build", "-o", out, "./testdata/"+name)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// startPeers starts n peers that accept each other's tasklets; all know the
// first.
func startPeers(t testing.TB, n int) []*dstackless.Peer {
	t.Helper()
	var peers []*dstackless.Peer
	for range n {
		o := &dstackless.Options{
			Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"},
			Accept: []string{dstackless.AcceptAny},
		}
		if len(peers) > 0 {
			o.Bootstrap = peers[0].Addrs()[:1]
		}
		p, err := dstackless.Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		peers = append(peers, p)
	}
	return peers
}

func deadline(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// A program that knows nothing of this module moves around, and nobody can
// tell from what it prints.
func TestPlainProgramMoves(t *testing.T) {
	ctx := deadline(t, time.Minute)
	peers := startPeers(t, 3)
	for _, p := range peers[1:] { // all know each other
		if _, err := p.Connect(ctx, peers[2].Addrs()[0]); err != nil && p != peers[2] {
			t.Fatal(err)
		}
	}
	const n = 300
	tl, err := peers[0].Spawn(ctx, build(t, "plain"), fmt.Sprint(n))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		if err := tl.Move(ctx, peers[(i+1)%3].ID()); err != nil {
			t.Fatal(err)
		}
	}
	status, err := tl.Wait(ctx)
	if status != 7 || err != nil {
		t.Errorf("exit status %d, %v", status, err)
	}
	out, err := tl.Output(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	sum := 0
	for i := range n {
		fmt.Fprintln(&want, i)
		sum += i * i
	}
	fmt.Fprintln(&want, "sum", sum)
	if string(got) != want.String() {
		t.Errorf("output is wrong:\n%.2000s", got)
	}
	for _, hop := range tl.Info().Moves {
		t.Logf("%+v", hop)
	}
}

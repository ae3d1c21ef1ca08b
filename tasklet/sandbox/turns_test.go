package sandbox_test

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/dstackless/dstackless/peertest/crafted"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// However many guests compute, what the host does on its network waits for some of
// them only.
func TestGuestsTakeTurns(t *testing.T) {
	const guests = 60
	code := craft(t, crafted.Endless()["loop"])
	var last *sandbox.Instance
	for range guests {
		last = run(t, code, sandbox.Config{})
	}
	echo, tick := echoes(t), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var took []time.Duration
	for range 10 {
		start := time.Now()
		<-tick.C
		echo()
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("a tick and an echo take %v, the slowest %v", took[5], took[9])
	if took[5] > 500*time.Millisecond {
		t.Errorf("while %d guests compute, a tick and an echo take %v", guests, took[5])
	}
	start := time.Now()
	last.Kill(nil)
	wait(t, last)
	t.Logf("a guest was killed in %v", time.Since(start))
}

// echoes returns a function that has a byte go to and fro on loopback.
func echoes(t *testing.T) func() {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.Copy(c, c)
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return func() {
		b := []byte{1}
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
	}
}

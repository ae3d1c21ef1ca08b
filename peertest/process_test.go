package peertest_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/peertest"
)

func TestProcesses(t *testing.T) {
	a := peertest.StartProcess(t, nil)
	b := peertest.StartProcess(t, &peertest.ProcessOptions{Bootstrap: a.Addrs()[:1]})
	from, to := open(t, a, "outside"), open(t, b, "outside")
	for range 3 {
		if err := exchange(t, from, to, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		from, to = to, from
	}

	// What waits when a process is killed is told so.
	waiting := make(chan error, 1)
	go func() {
		_, err := to.Receive(t.Context())
		waiting <- err
	}()
	until(t, "the receive waits", func() bool {
		var n int
		for _, p := range []*peertest.Process{a, b} {
			list, err := p.Channels(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n += list[0].Receives
		}
		return n > 0
	})
	id, addrs := b.ID(), b.Addrs()
	a.Kill()
	b.Kill()
	if err := <-waiting; !errors.Is(err, peertest.ErrKilled) {
		t.Errorf("a receive of a killed process: %v", err)
	}
	if _, err := channel.Open[string](t.Context(), b, "late"); !errors.Is(err, peertest.ErrKilled) {
		t.Errorf("open on a killed process: %v", err)
	}
	a.Restart()
	b.Restart()
	if b.ID() != id || b.Addrs()[0] != addrs[0] {
		t.Errorf("restarted, peer %s at %v is %s at %v", id, addrs, b.ID(), b.Addrs())
	}
	if err := exchange(t, open(t, a, "outside"), open(t, b, "outside"), 20*time.Second); err != nil {
		t.Error(err)
	}
}

// Peers of a network and of processes are peers of each other, and crash.
func TestProcessKilledAtStep(t *testing.T) {
	nw := peertest.New(t, 1, nil)
	p := peertest.StartProcess(t, &peertest.ProcessOptions{Bootstrap: nw.Peer(0).Addrs()[:1]})
	from, to := open(t, nw.Peer(0), "crash"), open(t, p, "crash")
	if err := exchange(t, from, to, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	stop := p.StopAt(peertest.Step{Frame: peertest.Accept})
	sent, received := make(chan error, 1), make(chan error, 1)
	go func() { sent <- from.Send(t.Context(), "value") }()
	go func() {
		_, err := to.Receive(t.Context())
		received <- err
	}()
	if err := stop.Wait(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := <-received; err != nil {
		t.Errorf("the process had it: %v", err)
	}
	p.Kill()
	p.Restart() // it answers, and knows nothing of the value
	if err := <-sent; !errors.Is(err, channel.ErrInDoubt) {
		t.Errorf("sent to a process that was killed in the act: %v", err)
	}
}

// A box is where a value is received.
type box struct{ value []byte }

func (b *box) Accept(p channel.Payload) { b.value, _ = channel.Copy(p) }

// A test sees of a process's channels what it sees of its own.
func TestProcessSpace(t *testing.T) {
	p := peertest.StartProcess(t, nil)
	ctx := within(t, 20*time.Second)
	c := open(t, p, "space")
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := c.Receive(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a receive that ends: %v", err)
	}
	sent := make(chan error, 1)
	go func() { sent <- c.SendError(ctx, errors.New("no value")) }()
	var failed *channel.SentError
	if _, err := c.Receive(ctx); !errors.As(err, &failed) || failed.Err.Error() != "no value" {
		t.Errorf("an error that was sent: %v", err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	go func() { sent <- c.Send(ctx, "chosen") }()
	other := open(t, p, "other")
	var v string
	if n, err := channel.Select(ctx, other.Receiving(&v), c.Receiving(&v)); n != 1 || err != nil || v != "chosen" {
		t.Errorf("selected %d, %q, %v", n, v, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if n, err := channel.Select(ctx, c.Receiving(&v), channel.Default()); n != 1 || err != nil {
		t.Errorf("selected %d, %v, where nothing waits", n, err)
	}
	end, err := p.Open(ctx, "space")
	if err != nil {
		t.Fatal(err)
	}
	outcome := make(chan error, 1)
	done := func(err error) { outcome <- err }
	var b box
	end.ReceiveAsync(&b, done).Withdraw(channel.ErrLimit)
	if err := <-outcome; !errors.Is(err, channel.ErrLimit) || b.value != nil {
		t.Errorf("a receive that was withdrawn: %v, %q", err, b.value)
	}
	end.ReceiveAsync(&b, done)
	if err := errors.Join(c.Send(ctx, "awaited"), <-outcome); err != nil || !bytes.Contains(b.value, []byte("awaited")) {
		t.Errorf("a receive that nobody waits for: %v, %q", err, b.value)
	}
	if n, err := c.Balance(ctx); n != 0 || err != nil {
		t.Errorf("balance %d, %v", n, err)
	}
	if err := c.Close(ctx); err != nil || !c.Closed() {
		t.Errorf("close: %v", err)
	}
	if err := c.Send(ctx, "late"); !errors.Is(err, channel.ErrClosed) {
		t.Errorf("send on a closed channel: %v", err)
	}
	if err := errors.Join(c.Leave(), other.Leave()); err != nil {
		t.Error(err)
	}
	p.Close()
	p.Close()
}

// A process does not outlive the one that started it, however that ends.
func TestOrphan(t *testing.T) {
	const env = "PEERTEST_ORPHAN"
	if os.Getenv(env) != "" {
		p := peertest.StartProcess(t, &peertest.ProcessOptions{DataDir: os.Getenv(env)})
		os.WriteFile(os.Getenv(env)+"/addr", []byte(p.Addrs()[0]), 0o600)
		select {} // until it is killed
	}
	dir := t.TempDir()
	parent := exec.Command(os.Args[0], "-test.run=^TestOrphan$")
	parent.Env = append(os.Environ(), env+"="+dir)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var addr []byte
	until(t, "the process runs", func() (there bool) {
		addr, _ = os.ReadFile(dir + "/addr")
		return strings.Contains(string(addr), "/p2p/")
	})
	parent.Process.Kill()
	parent.Wait()
	// Its data folder can be had by another when it is gone.
	until(t, "it is gone", func() bool {
		p, err := dstackless.Start(t.Context(), &dstackless.Options{DataDir: dir, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
		if err != nil {
			return false
		}
		return p.Close() == nil
	})
}

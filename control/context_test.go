package control_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/control"
)

// endsWith is how soon a call must end after its context, on a slow machine: it
// waits for up to a second for what became of an operation.
const endsWith = 5 * time.Second

// ends checks that a call ends soon after ctx, which this cancels, and says so.
func ends(t *testing.T, name string, cancel context.CancelFunc, failed <-chan error) {
	t.Helper()
	cancel()
	select {
	case err := <-failed:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	case <-time.After(endsWith):
		t.Errorf("%s does not end with its context", name)
	}
}

// Every call ends with its context when the peer does not answer.
func TestMutePeer(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := control.NewClient(dir)
	defer c.Close()
	large := make([]byte, 8<<20) // more than a socket takes
	for name, call := range map[string]func(context.Context) error{
		"self":     func(ctx context.Context) error { _, err := c.Self(ctx); return err },
		"peers":    func(ctx context.Context) error { _, err := c.Peers(ctx); return err },
		"connect":  func(ctx context.Context) error { _, err := c.Connect(ctx, "addr"); return err },
		"lookup":   func(ctx context.Context) error { _, err := c.Lookup(ctx, "alice"); return err },
		"block":    func(ctx context.Context) error { return c.Block(ctx, "alice") },
		"unblock":  func(ctx context.Context) error { return c.Unblock(ctx, "alice") },
		"blocked":  func(ctx context.Context) error { _, err := c.Blocked(ctx); return err },
		"channels": func(ctx context.Context) error { _, err := c.Channels(ctx); return err },
		"tasklets": func(ctx context.Context) error { _, err := c.Tasklets(ctx); return err },
		"ref":      func(ctx context.Context) error { _, err := c.Ref(ctx, "3f"); return err },
		"info":     func(ctx context.Context) error { _, err := c.Info(ctx, "3f"); return err },
		"spawn":    func(ctx context.Context) error { _, err := c.Spawn(ctx, large); return err },
		"move":     func(ctx context.Context) error { _, err := c.Move(ctx, "3f", "alice"); return err },
		"kill":     func(ctx context.Context) error { _, err := c.Kill(ctx, "3f"); return err },
		"suspend":  func(ctx context.Context) error { _, err := c.Suspend(ctx, "3f"); return err },
		"resume":   func(ctx context.Context) error { _, err := c.Resume(ctx, "3f"); return err },
		"decide":   func(ctx context.Context) error { _, err := c.Decide(ctx, "3f", true); return err },
		"where":    func(ctx context.Context) error { _, err := c.Where(ctx, "3f"); return err },
		"drain":    func(ctx context.Context) error { _, err := c.Drain(ctx); return err },
		"wait":     func(ctx context.Context) error { _, err := c.Wait(ctx, "3f"); return err },
		"output":   func(ctx context.Context) error { return c.Output(ctx, "3f", true, io.Discard) },
		"channel":  func(ctx context.Context) error { _, err := c.Channel(ctx, "c"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error, 1)
			go func() { failed <- call(ctx) }()
			if conn, err := l.Accept(); err != nil {
				t.Fatal(err)
			} else {
				defer conn.Close()
			}
			ends(t, name, cancel, failed)
		})
	}
}

// What an open channel does ends with its context when the peer stops answering.
func TestMuteChannel(t *testing.T) {
	for name, call := range map[string]func(context.Context, *control.Channel) error{
		"receive":    func(ctx context.Context, ch *control.Channel) error { _, err := ch.Receive(ctx); return err },
		"send":       func(ctx context.Context, ch *control.Channel) error { return ch.Send(ctx, []byte("v")) },
		"send large": func(ctx context.Context, ch *control.Channel) error { return ch.Send(ctx, make([]byte, 8<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l, err := net.Listen("unix", filepath.Join(dir, "control.sock"))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			begun := make(chan struct{})
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				conn.Read(make([]byte, 1))
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				var heard []byte
				for !bytes.Contains(heard, []byte(`"op":"receive"`)) && !bytes.Contains(heard, []byte(`"op":"send"`)) {
					b := make([]byte, 1024)
					n, err := conn.Read(b)
					if err != nil {
						return
					}
					heard = append(heard, b[:n]...)
				}
				close(begun)
				<-t.Context().Done()
			}()
			c := control.NewClient(dir)
			defer c.Close()
			ch, err := c.Channel(t.Context(), "c")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error, 1)
			go func() {
				err := call(ctx, ch)
				if name != "receive" && !errors.Is(err, channel.ErrInDoubt) {
					t.Errorf("it does not say that the send is in doubt: %v", err)
				}
				ch.Close()
				failed <- err
			}()
			<-begun
			ends(t, name, cancel, failed)
		})
	}
}

package network_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// A link is a list with room for what cannot be sent.
type link struct {
	Name string
	Next *link
}

func links(n int) *link {
	l := &link{Name: "last"}
	for range n - 1 {
		l = &link{Next: l}
	}
	return l
}

// TestWhatProgramsHold sends what an ordinary program may have to another peer.
func TestWhatProgramsHold(t *testing.T) {
	ctx := within(t, 30*time.Second)
	peers := startPeers(t, 2, "/ip4/127.0.0.1/tcp/0")
	from, to := open[*link](t, peers[0], "lists"), open[*link](t, peers[1], "lists")
	sent := make(chan error, 1)
	go func() { sent <- from.Send(ctx, links(5000)) }()
	l, err := to.Receive(ctx)
	if err != nil || <-sent != nil {
		t.Fatal(err)
	}
	n := 1
	for ; l.Next != nil; l = l.Next {
		n++
	}
	if n != 5000 || l.Name != "last" {
		t.Errorf("received %d nodes", n)
	}
	type row struct{ A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T string }
	rows, toRows := open[[]row](t, peers[0], "rows"), open[[]row](t, peers[1], "rows")
	go func() { sent <- rows.Send(ctx, make([]row, 20_000)) }()
	if got, err := toRows.Receive(ctx); len(got) != 20_000 || err != nil || <-sent != nil {
		t.Errorf("received %d rows, %v", len(got), err)
	}
}

// TestSendRefuses tries to send, in each way, what the receiver would refuse: the
// sender is told so, and nothing is spent.
func TestSendRefuses(t *testing.T) {
	circle := &link{Name: "circle"}
	circle.Next = circle
	ways := map[string]func(context.Context, *channel.Channel[*link], *link) error{
		"Send":      func(ctx context.Context, c *channel.Channel[*link], l *link) error { return c.Send(ctx, l) },
		"SendAsync": func(ctx context.Context, c *channel.Channel[*link], l *link) error { return c.SendAsync(ctx, l).Wait() },
		"Select": func(ctx context.Context, c *channel.Channel[*link], l *link) error {
			_, err := channel.Select(ctx, c.Sending(l))
			return err
		},
	}
	peers := startPeers(t, 2, "/ip4/127.0.0.1/tcp/0")
	for where, receiver := range peers {
		for name, send := range ways {
			for what, bad := range map[string]*link{"circle": circle, "too deep": links(10_002)} {
				t.Run(strings.Join([]string{name, what, []string{"same peer", "other peer"}[where]}, "/"), func(t *testing.T) {
					ctx := within(t, 20*time.Second)
					name := channel.Name(t.Name())
					from := open[*link](t, peers[0], name)
					end, err := receiver.Open(ctx, name)
					if err != nil {
						t.Fatal(err)
					}
					// A receiver that gets bytes, as a program does.
					in := &bytesSink{accepted: make(chan channel.Payload, 2)}
					outcome := make(chan error, 1)
					end.ReceiveAsync(in, func(err error) { outcome <- err })
					agree(ctx, t, name, peers[0], receiver)
					err = send(ctx, from, bad)
					if !errors.Is(err, channel.ErrTooLarge) || !strings.Contains(err.Error(), "10000") {
						t.Errorf("the send of what cannot be received: %v", err)
					}
					select {
					case p := <-in.accepted:
						t.Fatalf("received %T of a send that failed", p)
					default:
					}
					if err := send(ctx, from, links(3)); err != nil {
						t.Error(err)
					}
					if err := <-outcome; err != nil {
						t.Error(err)
					}
					if b, err := (<-in.accepted).Encode(); len(b) == 0 || err != nil {
						t.Errorf("received %d bytes, %v", len(b), err)
					}
				})
			}
		}
	}
}

// A bytesSink wants a value as bytes.
type bytesSink struct{ accepted chan channel.Payload }

func (s *bytesSink) Accept(p channel.Payload) {
	b, err := channel.Copy(p)
	if err != nil {
		return
	}
	s.accepted <- channel.Bytes(b)
}

package peertest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/peertest"
)

func TestMain(m *testing.M) {
	peertest.RunProcess()
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, p channel.Space, name channel.Name) *channel.Channel[string] {
	t.Helper()
	c, err := channel.Open[string](t.Context(), p, name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// exchange sends one value from one end to another, within d.
func exchange(t testing.TB, from, to *channel.Channel[string], d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	value, sent := fmt.Sprint("value ", time.Now()), make(chan error, 1)
	go func() { sent <- from.Send(ctx, value) }()
	got, err := to.Receive(ctx)
	if err == nil && got != value {
		t.Fatalf("received %q", got)
	}
	if sendErr := <-sent; (err == nil) != (sendErr == nil) {
		t.Fatalf("received: %v, sent: %v", err, sendErr)
	}
	return err
}

func TestSparse(t *testing.T) {
	nw := peertest.New(t, 4, &peertest.Options{Sparse: true})
	if err := exchange(t, open(t, nw.Peer(2), "far"), open(t, nw.Peer(3), "far"), 20*time.Second); err != nil {
		t.Error(err)
	}
	nw.Mesh()
	for i := range nw.Len() {
		if n := len(nw.Peer(i).Peers()); n != 3 {
			t.Errorf("peer %d has %d peers", i, n)
		}
	}
}

func TestExchange(t *testing.T) {
	nw := peertest.New(t, 3, nil)
	var ends []*channel.Channel[string]
	for _, p := range nw.Peers() {
		ends = append(ends, open(t, p, "greetings"))
	}
	for i := range ends {
		for j := range ends {
			if err := exchange(t, ends[i], ends[j], 10*time.Second); err != nil {
				t.Errorf("%d to %d: %v", i, j, err)
			}
		}
	}
}

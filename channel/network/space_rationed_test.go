package network_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// Channels that a rationed view opened work with other peers, those that wait for
// their turn at once when the peer itself opens them.
func TestRationed(t *testing.T) {
	const channels = 200
	ctx := within(t, time.Minute)
	peers := startPeers(t, 2)
	program := peers[0].Rationed()
	var ends []channel.Endpoint
	for n := range channels {
		end, err := program.Open(ctx, channel.Name(fmt.Sprint("of a program ", n)))
		if err != nil {
			t.Fatal(err)
		}
		defer end.Leave()
		ends = append(ends, end)
	}
	last := channel.Name(fmt.Sprint("of a program ", channels-1))
	own, other := open[int](t, peers[0], last), open[int](t, peers[1], last)
	go own.Send(ctx, 7)
	if got, err := other.Receive(ctx); got != 7 || err != nil {
		t.Errorf("the peer's own: %d, %v", got, err)
	}
	for n, end := range ends {
		other := open[int](t, peers[1], channel.Name(fmt.Sprint("of a program ", n)))
		sent := make(chan error, 1)
		go func() { sent <- other.Send(ctx, n) }()
		if err := end.Receive(ctx, new(sink)); err != nil {
			t.Fatalf("channel %d: %v", n, err)
		}
		if err := <-sent; err != nil {
			t.Fatalf("channel %d: %v", n, err)
		}
		other.Leave()
	}
}

// A sink takes values, and drops them.
type sink struct{}

func (*sink) Accept(channel.Payload) {}

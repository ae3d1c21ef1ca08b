package network_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
)

// A peer asks for large values and does not read them, until their senders have
// given up: what it leaves unread is bounded, and its session ends.
func TestUnreadAfterItsSendersGaveUp(t *testing.T) {
	ctx := within(t, 60*time.Second)
	const name = channel.Name("gave up")
	home, member := keeper(t, name, nil)
	deaf := attack(ctx, t, startNode(t), home, false)
	const n = 6 // of 16 MiB: more than 64 MiB
	deaf.say(deaf.hello(name, 1, 0, ""))
	for i := range uint64(n) {
		deaf.say(network.Frame{Kind: network.Receive, Number: 1, Receive: 1 + i})
	}
	eventually(t, "the receives are not known", func() bool { _, receives, _ := home.Homed(name); return receives == n })
	from := open[[]byte](t, home, name)
	brief, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var senders sync.WaitGroup
	for range n {
		senders.Go(func() {
			if err := from.Send(brief, make([]byte, channel.MaxValue-100)); !errors.Is(err, channel.ErrInDoubt) {
				t.Errorf("what nobody has read: %v", err)
			}
		})
	}
	for range 8 {
		deaf.say(network.Frame{Kind: network.Ping})
		time.Sleep(500 * time.Millisecond)
	}
	senders.Wait()
	gaveUp := time.Now()
	eventually(t, "the session goes on", func() bool { return home.Sessions(deaf.node.ID()) == 0 })
	if d := time.Since(gaveUp); d > 5*time.Second {
		t.Errorf("the session ended after %v", d)
	}
	honest(ctx, t, name, home, member)
}

package network_test

import (
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
)

// A value was accepted, and its sender lost the session before it heard so. It
// offers the value again, and gets the same answer: the value is not received
// twice.
func TestAcceptIsRemembered(t *testing.T) {
	for _, how := range []string{"the session broke", "the victim has not noticed", "the accept was heard"} {
		t.Run(how, func(t *testing.T) {
			ctx := within(t, 30*time.Second)
			victim, node := startPeer(t), startNode(t)
			c := open[[]byte](t, victim, "once")
			agree(ctx, t, "once", victim)
			received := make(chan string, 10)
			go func() {
				for {
					v, err := c.Receive(ctx)
					if err != nil {
						close(received)
						return
					}
					received <- string(v)
				}
			}()
			value := func(text string) []byte { return append([]byte("\x07[]uint8"), text...) }
			const id = 1 << 40
			accepted := func(f network.Frame) bool { return f.Kind == network.Accept && f.Send == id }

			first := attack(ctx, t, node, victim, true)
			first.join("once")
			first.say(network.Frame{Kind: network.Send, Number: 1, Send: id, Value: value("one")})
			first.await(accepted)
			if how == "the accept was heard" { // and said to have been
				first.say(network.Frame{Kind: network.Send, Number: 1, Send: id + 1, Value: value("two"), Acked: 1})
				first.await(func(f network.Frame) bool { return f.Kind == network.Accept && f.Send == id+1 })
			}
			if how != "the victim has not noticed" {
				first.stream.Reset()
				<-first.ended
				for victim.Sessions(node.ID()) > 0 {
					time.Sleep(time.Millisecond)
				}
			}

			again := attack(ctx, t, node, victim, true)
			again.join("once")
			again.say(network.Frame{Kind: network.Send, Number: 1, Send: id, Value: value("one"), Resumed: true})
			again.await(accepted)
			again.say(network.Frame{Kind: network.Send, Number: 1, Send: id + 2, Value: value("end")})

			var got []string
			for v := range received {
				if got = append(got, v); v == "end" {
					break
				}
			}
			want := 2
			if how == "the accept was heard" {
				want = 4 // a sender that heard, and offers again, lies: "one" counts anew
			}
			if len(got) != want {
				t.Errorf("received %q", got)
			}
			first.stream.Reset()
			again.stream.Reset()
			c.Leave()
		})
	}
}

var _ channel.Space = (*network.Space)(nil)

package p2p_test

import (
	"io"
	"sync"
	"testing"

	"github.com/dstackless/dstackless/p2p"
)

// Two peers that connect to each other at the same moment end up connected, and
// a stream that either opens works.
func TestConnectBothAtOnce(t *testing.T) {
	for _, transport := range loopback {
		t.Run(transport, func(t *testing.T) {
			for range 10 {
				a, b := start(t, transport), start(t, transport)
				var both sync.WaitGroup
				for from, to := range map[*p2p.Node]*p2p.Node{a: b, b: a} {
					to.Handle(echo, serveEcho)
					both.Go(func() {
						if _, err := from.Connect(within(t), to.Addrs()[0]); err != nil {
							t.Error(err)
						}
					})
				}
				both.Wait()
				for from, to := range map[*p2p.Node]*p2p.Node{a: b, b: a} {
					s, err := from.Open(within(t), to.ID(), echo)
					if err != nil {
						t.Fatal(err)
					}
					s.Write([]byte("x"))
					s.CloseWrite()
					if text, err := io.ReadAll(s); string(text) != "x" || err != nil {
						t.Errorf("%q, %v", text, err)
					}
				}
				a.Close()
				b.Close()
			}
		})
	}
}

package content_test

import (
	"bufio"
	"fmt"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/content"
)

// Strangers on 16 addresses have as many streams be served as they can, and ask
// for nothing. One at another address gets a block.
func TestStrangersAreServed(t *testing.T) {
	a := startOn(t, "", tcp)
	root, err := a.Add(within(t), []byte("some content"))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(n *p2p.Node) error {
		s, err := n.OpenResumable(within(t), a.ID(), content.Protocol)
		if err != nil {
			return err
		}
		t.Cleanup(func() { s.Reset() })
		s.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := s.Write(content.AppendWant(nil, root)); err != nil {
			return err
		}
		_, err = content.ReadBlock(bufio.NewReader(s))
		return err
	}
	stranger := func(addr int) *p2p.Node {
		n, err := p2p.Start(&p2p.Options{Listen: []string{fmt.Sprintf("/ip4/127.0.0.%d/tcp/0", addr)}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		if _, err := n.Connect(within(t), a.Addrs()[0]); err != nil {
			t.Fatal(err)
		}
		return n
	}
	served := 0
	for i := range 16 {
		n := stranger(2 + i)
		for range content.ServedLimits.Each {
			if ask(n) == nil {
				served++
			}
		}
	}
	if served < content.ServedLimits.Strangers {
		t.Errorf("%d streams were served: the bound of %d was not reached", served, content.ServedLimits.Strangers)
	}
	if n := a.Served(); n > content.ServedLimits.Strangers {
		t.Errorf("%d streams are served at a time, want %d at most", n, content.ServedLimits.Strangers)
	}
	if err := ask(stranger(1)); err != nil {
		t.Error("an honest peer is not served:", err)
	}
}

package p2p_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

var listens = map[string]string{
	"quic": "/ip4/127.0.0.1/udp/0/quic-v1",
	"tcp":  "/ip4/127.0.0.1/tcp/0",
}

func TestNetworkKey(t *testing.T) {
	mine, other := p2p.NewNetworkKey(), p2p.NewNetworkKey()
	for transport, addr := range listens {
		node := func(key *p2p.NetworkKey) *p2p.Node {
			return startWith(t, p2p.Options{Listen: []string{addr}, NetworkKey: key})
		}
		a, b := node(&mine), node(&mine)
		strangers := map[string]*p2p.Node{"no key": node(nil), "another key": node(&other)}
		var mu sync.Mutex
		met := map[p2p.ID]bool{}
		a.Watch(func(id p2p.ID, _ bool) {
			mu.Lock()
			defer mu.Unlock()
			met[id] = true
		})
		t.Run(transport, func(t *testing.T) {
			connect(t, a, b)
			b.Handle(echo, serveEcho)
			if got := say(t, a, b.ID(), "hello", echo); got != "hello" {
				t.Errorf("%q", got)
			}
			for who, s := range strangers {
				// Who has no key takes itself for connected until it is sent away.
				_, err := s.Connect(within(t), a.Addrs()[0])
				if !errors.Is(err, p2p.ErrUnreachable) && (err != nil || who != "no key") {
					t.Errorf("%s comes in: %v", who, err)
				}
				if _, err := a.Connect(within(t), s.Addrs()[0]); !errors.Is(err, p2p.ErrUnreachable) {
					t.Errorf("goes out to %s: %v", who, err)
				}
				for ctx := within(t); len(s.Peers()) > 0; {
					if ctx.Err() != nil {
						t.Fatalf("%s is not sent away", who)
					}
					time.Sleep(time.Millisecond)
				}
				mu.Lock()
				if met[s.ID()] {
					t.Errorf("%s was connected", who)
				}
				mu.Unlock()
			}
		})
	}
}

func TestNetworkKeyText(t *testing.T) {
	k := p2p.NewNetworkKey()
	for _, text := range []string{k.Text(), k.Text() + "\n"} {
		if got, err := p2p.ParseNetworkKey(text); err != nil || got != k {
			t.Errorf("%v", err)
		}
	}
	for _, text := range []string{
		"", "dsnet1-", k.Text()[1:], k.Text() + "a", k.Text() + "\n\n", " " + k.Text(), strings.ToUpper(k.Text()),
	} {
		_, err := p2p.ParseNetworkKey(text)
		if err == nil {
			t.Errorf("%q is read as a key", text)
		} else if len(text) > 10 && strings.Contains(err.Error(), text[7:]) {
			t.Errorf("the error shows the text: %v", err)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v %s %x", k, k, &k, k, k); strings.Contains(s, k.Text()) || len(s) > 80 {
		t.Errorf("printed, it is shown: %s", s)
	}
}

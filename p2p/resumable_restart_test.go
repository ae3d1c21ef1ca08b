package p2p_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"

	"github.com/dstackless/dstackless/internal/testhook"
	"github.com/dstackless/dstackless/p2p"
)

// A peer that was killed and is back, somewhere else, as another process knows
// none of the streams that there were: both kinds end as soon as it is
// connected, whoever opened them, and not when patience or courtesy is over.
func TestResumableEndsWhenThePeerWasRestarted(t *testing.T) {
	dir := t.TempDir()
	process := func() (*p2p.Node, host.Host) {
		t.Helper()
		var h host.Host
		n := startWith(t, p2p.Options{DataDir: dir, Listen: loopback, TestHooks: &testhook.Hooks{Started: func(of host.Host) { h = of }}})
		n.Handle(echo, func(s p2p.Stream) {
			defer s.Reset()
			io.Copy(s, s)
		})
		return n, h
	}
	a := start(t)
	accepted, before := make(chan time.Duration, 1), make(chan time.Time, 1)
	a.Handle(both, func(s p2p.Stream) {
		defer s.Reset()
		s.Write([]byte("hello"))
		io.ReadAll(s)
		accepted <- time.Since(<-before)
	})
	b, h := process()
	connect(t, a, b)
	opened, err := a.OpenResumable(within(t), b.ID(), echo)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Reset()
	talk(t, opened, "hello")
	other, err := b.OpenResumable(within(t), a.ID(), both)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(other, make([]byte, len("hello"))); err != nil {
		t.Fatal(err)
	}
	lost := time.Now()
	before <- lost
	h.Close() // nobody is told that the streams end
	again, _ := process()
	connect(t, again, a)
	opened.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := opened.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "the peer does not know the stream: it was restarted") {
		t.Errorf("the stream that was opened: %v", err)
	}
	after := map[string]time.Duration{"opened": time.Since(lost)}
	select {
	case after["accepted"] = <-accepted:
	case <-within(t).Done():
		t.Fatal("the stream that was accepted does not end")
	}
	for which, d := range after {
		t.Logf("the stream that was %s ended after %v", which, d)
		if d >= 2*time.Second { // courtesy; a dial of where nobody is any more takes 5
			t.Errorf("the stream that was %s ended late", which)
		}
	}
}

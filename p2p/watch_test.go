package p2p_test

import (
	"testing"

	"github.com/dstackless/dstackless/p2p"
)

type event struct {
	id        p2p.ID
	connected bool
}

func newWatcher(n *p2p.Node) (<-chan event, func()) {
	events := make(chan event, 16)
	return events, n.Watch(func(id p2p.ID, connected bool) { events <- event{id, connected} })
}

func expect(t *testing.T, events <-chan event, want event) {
	t.Helper()
	select {
	case got := <-events:
		if got != want {
			t.Fatalf("told %v, want %v", got, want)
		}
	case <-within(t).Done():
		t.Fatalf("not told %v", want)
	}
}

func TestWatch(t *testing.T) {
	a, b, c := start(t), start(t), start(t)
	early, stopEarly := newWatcher(a)
	connect(t, b, a)
	expect(t, early, event{b.ID(), true})
	late, stopLate := newWatcher(a)
	expect(t, late, event{b.ID(), true}) // who is connected already

	stopEarly()
	stopEarly()
	b.Close()
	expect(t, late, event{b.ID(), false})
	connect(t, a, c)
	expect(t, late, event{c.ID(), true})
	stopLate()
	a.Close()
	for len(early)+len(late) > 0 {
		select {
		case e := <-early:
			t.Errorf("told %v after stop", e)
		case e := <-late:
			t.Errorf("told %v after stop", e)
		}
	}
}

func TestWatchStopsItself(t *testing.T) {
	a, b, c := start(t), start(t), start(t)
	ready, told := make(chan struct{}), make(chan event, 16)
	var stop func()
	stop = a.Watch(func(id p2p.ID, connected bool) {
		<-ready
		stop()
		told <- event{id, connected}
	})
	close(ready)
	connect(t, a, b)
	expect(t, told, event{b.ID(), true})
	connect(t, a, c)
	a.Close() // waits for what runs
	if len(told) > 0 {
		t.Errorf("told %v after stop", <-told)
	}
}

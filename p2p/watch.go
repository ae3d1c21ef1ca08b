package p2p

import (
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
)

// Watch has f called with every peer that is connected now, and from then on
// with every peer that becomes connected (true) or is no longer (false), in
// order, never two calls at a time. Several connections to one peer count as
// one. f runs in a goroutine of its own and may take its time: what happens
// meanwhile is kept for it.
//
// The returned stop ends it. It doesn't wait for a call that runs, so f may
// call it; [Node.Close] ends it too, and does wait.
func (n *Node) Watch(f func(id ID, connected bool)) (stop func()) {
	return n.watch.add(f)
}

// watcher follows the connections of a host and tells its listeners.
type watcher struct {
	sub  event.Subscription
	done sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	connected map[ID]bool
	listeners []*listener
}

type change struct {
	id        ID
	connected bool
}

// listener is the queue of one Watch. The watcher's lock guards it.
type listener struct {
	f       func(ID, bool)
	queue   []change
	stopped bool
	wake    chan struct{} // holds one token when there is something to do
}

func newWatcher(h host.Host) (*watcher, error) {
	sub, err := h.EventBus().Subscribe(new(event.EvtPeerConnectednessChanged))
	if err != nil {
		return nil, err
	}
	w := &watcher{sub: sub, connected: make(map[ID]bool)}
	// The host listens already: what connected before the subscription is told
	// by no event.
	for _, id := range h.Network().Peers() {
		w.connected[id] = true
	}
	w.done.Go(w.run)
	return w, nil
}

func (w *watcher) run() {
	for e := range w.sub.Out() {
		evt := e.(event.EvtPeerConnectednessChanged)
		now := evt.Connectedness == network.Connected || evt.Connectedness == network.Limited
		w.mu.Lock()
		if w.connected[evt.Peer] != now {
			if now {
				w.connected[evt.Peer] = true
			} else {
				delete(w.connected, evt.Peer)
			}
			for _, l := range w.listeners {
				l.push(change{evt.Peer, now})
			}
		}
		w.mu.Unlock()
	}
}

func (w *watcher) add(f func(ID, bool)) (stop func()) {
	l := &listener{f: f, wake: make(chan struct{}, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return func() {}
	}
	for id := range w.connected {
		l.push(change{id, true})
	}
	w.listeners = append(w.listeners, l)
	w.done.Go(func() { w.serve(l) })
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.listeners = slices.DeleteFunc(w.listeners, func(x *listener) bool { return x == l })
		l.stop()
	}
}

// serve calls l's function until l is stopped.
func (w *watcher) serve(l *listener) {
	for range l.wake {
		for {
			w.mu.Lock()
			if l.stopped || len(l.queue) == 0 {
				stopped := l.stopped
				w.mu.Unlock()
				if stopped {
					return
				}
				break
			}
			c := l.queue[0]
			l.queue = l.queue[1:]
			w.mu.Unlock()
			l.f(c.id, c.connected)
		}
	}
}

func (l *listener) push(c change) {
	l.queue = append(l.queue, c)
	l.signal()
}

func (l *listener) stop() {
	l.stopped, l.queue = true, nil
	l.signal()
}

func (l *listener) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// close ends all listeners and waits for them.
func (w *watcher) close() {
	w.sub.Close()
	w.mu.Lock()
	w.closed = true
	for _, l := range w.listeners {
		l.stop()
	}
	w.listeners = nil
	w.mu.Unlock()
	w.done.Wait()
}

package peertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// A Stop is a peer that stands still at a step, or will. [Network.StopAt] makes
// it.
type Stop struct {
	step    Step
	gate    *gate
	reached chan struct{}
	once    sync.Once
}

// StopAt has peer i stand still the next time that it comes to a step, with
// whomever: from there on it says nothing and hears nothing about channels and
// tasklets until [Stop.Go], or until it is killed or the network is closed.
// What it does alone it goes on with, and its connections stay. It may be told
// to stop at several steps. A step counts for the life that the peer has now.
func (nw *Network) StopAt(i int, step Step) *Stop {
	nw.helper()
	if !step.Frame.valid() {
		nw.fatal("stop peer %d: there is no frame %q", i, step.Frame)
	}
	return nw.nodes[i].currentGate().add(step)
}

// Reached returns a channel that is closed when the peer stands at the step.
func (s *Stop) Reached() <-chan struct{} { return s.reached }

// Wait waits until the peer stands at the step, or ctx ends.
func (s *Stop) Wait(ctx context.Context) error {
	select {
	case <-s.reached:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("peertest: peer did not come to %s (%v): %w", s.step.Frame, s.step.When, ctx.Err())
	}
}

// Go lets the peer go on, or pass if it has not come to the step yet.
func (s *Stop) Go() {
	s.once.Do(func() { s.gate.release(s) })
}

// A gate is where the streams of one life of a peer stand still.
type gate struct {
	mu      sync.Mutex
	ahead   []*Stop // not reached yet
	at      []*Stop // where the peer stands
	over    bool    // the peer is killed or closed
	changed chan struct{}
}

func newGate() *gate { return &gate{changed: make(chan struct{})} }

func (g *gate) add(step Step) *Stop {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &Stop{step: step, gate: g, reached: make(chan struct{})}
	g.ahead = append(g.ahead, s)
	return s
}

// meet is told of each step. It reports whether the peer is to stand still.
func (g *gate) meet(f Frame, m Moment) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, s := range g.ahead {
		if s.step.Frame != f || s.step.When != m || g.over {
			continue
		}
		if s.step.Skip > 0 {
			s.step.Skip--
			continue
		}
		g.ahead = slices.Delete(g.ahead, i, i+1)
		g.at = append(g.at, s)
		close(s.reached)
		return true
	}
	return false
}

func (g *gate) release(s *Stop) {
	g.mu.Lock()
	defer g.mu.Unlock()
	is := func(o *Stop) bool { return o == s }
	g.ahead, g.at = slices.DeleteFunc(g.ahead, is), slices.DeleteFunc(g.at, is)
	g.wakeLocked()
}

// open ends all stops, for good.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over, g.ahead, g.at = true, nil, nil
	g.wakeLocked()
}

// wake has those who stand still look around.
func (g *gate) wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wakeLocked()
}

func (g *gate) wakeLocked() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// pass waits for as long as the peer stands still and gone is false.
func (g *gate) pass(gone func() bool) {
	for {
		g.mu.Lock()
		stands, changed := len(g.at) > 0, g.changed
		g.mu.Unlock()
		if !stands || gone() {
			return
		}
		<-changed
	}
}

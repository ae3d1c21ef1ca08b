package sandbox

import (
	"runtime"
	"time"
)

// A processors bounds how many guests of a [Runtime] compute at a time: as many as
// the host has processors. The others wait for their turns, in the order in which
// they came. Go's scheduler would have each of them compute for 10 ms before it
// comes to a goroutine of the host, and would count the time for which a guest is
// kept waiting in the midst of computing as that guest's.
type processors chan struct{}

func newProcessors() processors { return make(processors, runtime.GOMAXPROCS(0)) }

// takeTurn waits until the guest may compute. A guest that its host wants
// something of does not wait.
func (i *Instance) takeTurn() {
	select {
	case i.code.processors <- struct{}{}:
		i.turn = true
	case <-i.hurry:
	}
	i.lap = time.Now()
	i.turnBegan = i.lap
}

// passTurn lets another guest compute.
func (i *Instance) passTurn() {
	i.computed(time.Now())
	if i.turn {
		i.turn = false
		<-i.code.processors
	}
}

// shareTurn lets the others compute, if the guest has computed for its turn.
func (i *Instance) shareTurn(now time.Time) {
	if now.Sub(i.turnBegan) >= timeSlice {
		i.passTurn()
		i.takeTurn()
	}
}

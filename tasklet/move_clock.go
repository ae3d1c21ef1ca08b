package tasklet

import (
	"math"
	"time"
)

// A program's monotonic clock goes on while the program moves, and the wall
// clocks of two hosts are never compared: they may differ by hours. The source
// reads the program's clock when it has stopped it, and says with the commit how
// long ago that was, by its own clock. The destination adds how long that message
// was under way, which it takes for half of the round trip from its own last
// message. It also counts itself from the time on when the continuation came, so that
// a commit that was held up is not missed.
//
// What remains is the difference between the two ways of that round trip, at most
// maxLatency for each move. If the destination did not hear the commit and asks,
// the way of the answer is not counted.

// latencyMax is how long a message may be under way, as far as clocks are
// concerned: longer ones were held up by a broken link, and nobody knows on which
// side.
const latencyMax = 500 * time.Millisecond

// transitTime returns how long a tasklet was on its way when the commit came: its
// clock was read age before that was sent, held after the destination's last
// message had come to the source. The destination had sent it so long ago.
func transitTime(age, held, ago time.Duration) time.Duration {
	latency := min(max(0, ago-max(0, held))/2, latencyMax)
	return max(0, min(age, math.MaxInt64-latency)) + latency
}

// since is time.Since, but 0 for no time, and never negative: a time from before
// this process was started is by the host's wall clock, which may be set back.
func since(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(0, time.Since(t))
}

func (g *guest) catchUp(passed time.Duration) {
	if inst := g.sandbox(); inst != nil {
		inst.CatchUp(passed)
	}
}

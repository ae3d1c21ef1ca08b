package sandbox

import (
	"math"
	"time"

	"github.com/dstackless/dstackless/tasklet/program"
)

// restAfter is how long a guest waits before it rests.
const restAfter = time.Second

// never is when a guest is due that waits for no time.
const never = math.MaxInt64

// A guest that has waited for long rests: it leaves as for a pause, and until it
// is due, or gets a reply, nothing of it is there but its memory, its registers
// and an alarm: no engine and no goroutine. To be visited, paused or ended it
// needs none. The wait that it left is the call that it makes again when it goes
// on, and continues as if nothing had been.

// rest tells the guest to leave the wait that began then by its clock, and to
// come back when it is due at the latest. The lock is held.
func (i *Instance) rest(began, due int64) {
	i.began, i.due = began, due
	i.leave(false)
}

// lieDown begins the rest of a guest that has left for it. It reports false if
// there is a reason to go on by now. The lock is held.
func (i *Instance) lieDown() bool {
	select {
	case <-i.wake:
		return false
	default:
	}
	i.phase = resting
	if i.due == never {
		return true
	}
	i.group.Add(1)
	var alarm *time.Timer
	alarm = time.AfterFunc(time.Duration(i.due-i.clock.mono()), func() {
		defer i.group.Done()
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.alarm == alarm {
			i.alarm = nil
			i.rouse()
		}
	})
	i.alarm = alarm
	return true
}

// getUp ends the rest of a guest, if it rests, for whatever comes instead. The
// lock is held.
func (i *Instance) getUp() {
	if i.alarm != nil && i.alarm.Stop() {
		i.group.Done()
	}
	i.alarm = nil
}

// rouse carries on a guest that rests. The lock is held.
func (i *Instance) rouse() {
	i.getUp()
	i.group.Add(1)
	i.launch(program.ExportLoop)
}

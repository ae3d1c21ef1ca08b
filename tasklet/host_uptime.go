package tasklet

import (
	"fmt"
	"time"

	"github.com/dstackless/dstackless/tasklet/journal"
)

// uptime is how long this host has been running, in all of its runs that its
// journal knows of. What a host keeps for others it forgets by that, and not by
// the time of day: a clock that is set forward must not make it forget a promise.
func (h *Host) uptime() time.Duration { return time.Duration(h.ranBefore.Load()) + time.Since(h.begun) }

// older reports whether it was so long ago, as the host's uptime tells.
func (h *Host) older(at, age time.Duration) bool { return h.uptime()-at > age }

// uptimeSaved is how often the uptime is written down. A host that is killed
// loses no more of it, and so keeps things for longer.
const uptimeSaved = 15 * time.Minute

const uptimeKey = "uptime"

// A savedUptime is the uptime as of when it was written.
type savedUptime struct{ Ran time.Duration }

func (s *savedUptime) validate(key string) error {
	if key != uptimeKey {
		return fmt.Errorf("%.40q is nothing of the host", key)
	}
	return validateUptime(s.Ran)
}

func (h *Host) saveUptime() {
	err := h.update(func(tx *journal.Tx) error { return put(tx, tableHost, uptimeKey, &savedUptime{h.uptime()}) })
	if err != nil {
		h.log.Error("the time that the peer was running could not be recorded", "error", err)
	}
}

func (h *Host) restoreUptime(key string, data []byte) error {
	var s savedUptime
	if err := decodeEntry(key, data, &s); err != nil {
		return err
	}
	h.ranBefore.Store(int64(s.Ran))
	return nil
}

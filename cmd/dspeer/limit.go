package main

import (
	"fmt"

	"github.com/dstackless/dstackless/tasklet"
)

// limitFlags are the flags of "dspeer run" that set limits.
var limitFlags = map[tasklet.LimitName]string{
	tasklet.LimitMemory:   "memory",
	tasklet.LimitCPU:      "cpu",
	tasklet.LimitOutput:   "output",
	tasklet.LimitTasklets: "tasklets",
	tasklet.LimitHeld:     "continuations",
}

// limitHint says how to raise a limit, or nothing if that cannot be done.
func limitHint(l *tasklet.LimitError) string {
	if l == nil || limitFlags[l.Limit] == "" {
		return ""
	}
	return fmt.Sprintf(" (\"dspeer run --%s\" sets this limit)", limitFlags[l.Limit])
}

package tasklet

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// maxStack is how much of a crashed program's last words is kept.
const maxStack = 64 << 10

// A CrashError says that a program crashed: it panicked, or its runtime gave it
// up.
type CrashError struct {
	// Reason is the runtime's first line, such as "panic: at the disco".
	Reason string
	// Stack is what the runtime wrote of it, with the stack trace of each
	// goroutine; at most 64 KiB, its beginning.
	Stack string
	// Limit wraps ErrLimit if the program died because it was refused memory,
	// and is nil otherwise.
	Limit error
}

func (e *CrashError) Error() string {
	if e.Limit != nil {
		return fmt.Sprintf("the program crashed: %s: %v", e.Reason, e.Limit)
	}
	return "the program crashed: " + e.Reason
}

// Unwrap returns e.Limit.
func (e *CrashError) Unwrap() error { return e.Limit }

// A tail is the end of what a program wrote.
type tail struct{ data []byte }

func (t *tail) write(b []byte) {
	t.data = append(t.data, b[max(0, len(b)-2*maxStack):]...)
	if len(t.data) > 4*maxStack {
		t.data = append([]byte(nil), t.data[len(t.data)-2*maxStack:]...)
	}
}

// exitOf returns how a program came to its end, with its stack trace if it
// crashed.
func (g *guest) exitOf(status int, err error) *exit {
	switch {
	case errors.Is(err, sandbox.ErrCPU):
		err = g.host.exceeds(LimitCPU, uint64(g.host.opts.Limits.CPU), 0, 0)
	case errors.Is(err, sandbox.ErrMemory):
		err = g.host.exceeds(LimitMemory, g.host.opts.Limits.Memory, 0, 0)
	case errors.Is(err, sandbox.ErrStack):
		err = fmt.Errorf("%w: %w", ErrLimit, err)
	}
	if status == 2 { // what Go's runtime exits with
		if reason, stack, ok := g.last.crash(); ok {
			err = &CrashError{Reason: reason, Stack: stack, Limit: err}
		}
	}
	return &exit{Status: status, Failure: failureOf(err)}
}

// crash returns what Go's runtime wrote at the end, if the program crashed.
func (t *tail) crash() (reason, stack string, ok bool) {
	at := -1
	for _, word := range []string{"panic: ", "fatal error: ", "runtime: out of memory"} {
		for from := 0; ; {
			n := bytes.Index(t.data[from:], []byte(word))
			if n < 0 {
				break
			}
			n += from
			// The last crash's first line: a panic may quote another.
			if (n == 0 || t.data[n-1] == '\n') && (at < 0 || n < at) && bytes.Contains(t.data[n:], []byte("\ngoroutine ")) {
				at = n
			}
			from = n + 1
		}
	}
	if at < 0 {
		return "", "", false
	}
	text := t.data[at:]
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return string(line[:min(len(line), 1024)]), string(text[:min(len(text), maxStack)]), true
}

package peertest

import (
	"encoding/json"
	"errors"
	"io"
	"sync"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet"
)

// A test and its processes exchange lines of JSON: requests on the process's
// standard input, and answers to them, in any order, on its standard output.

// A request asks a process to do something.
type request struct {
	ID    uint64
	Do    string
	Of    uint64         `json:",omitempty"` // the endpoint, the stop, or the request to end
	Name  string         `json:",omitempty"`
	Value []byte         `json:",omitempty"`
	Args  []string       `json:",omitempty"`
	Code  code           `json:",omitempty"`
	Step  *Step          `json:",omitempty"`
	Among []alternative  `json:",omitempty"`
	Wait  bool           `json:",omitempty"`
	Set   *processConfig `json:",omitempty"`
}

// An alternative is one of those that a select chooses from.
type alternative struct {
	End   uint64
	Send  bool
	Value []byte
}

// An answer says what became of a request.
type answer struct {
	ID    uint64
	Code  code            `json:",omitempty"`
	Text  string          `json:",omitempty"`
	Value []byte          `json:",omitempty"`
	More  json.RawMessage `json:",omitempty"`
}

// A code is the kind of an error: one of package channel's, or one of those
// below.
type code int

// taskletErrors are kinds of error beside those of package channel.
var taskletErrors = [...]error{
	tasklet.ErrRefused, tasklet.ErrExited, tasklet.ErrKilled, tasklet.ErrNotFound,
	tasklet.ErrUnconfirmed, tasklet.ErrSelf, tasklet.ErrProgram, tasklet.ErrClosed,
}

const firstTaskletError code = 1 << 8 // above all channel.Codes

func encodeError(err error) (code, string) {
	for i, e := range taskletErrors {
		if errors.Is(err, e) {
			return firstTaskletError + code(i), err.Error()
		}
	}
	c, text := channel.Encode(err)
	return code(c), text
}

func decodeError(c code, text string) error {
	if i := c - firstTaskletError; i >= 0 && int(i) < len(taskletErrors) {
		return &remoteError{text, taskletErrors[i]}
	}
	return channel.Decode(channel.Code(c), text)
}

// A remoteError is an error of a process.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }

// lines writes values to w, each on a line. Whoever says something does not
// wait for whoever reads.
type lines struct {
	mu    sync.Mutex
	cond  sync.Cond
	queue []any
	ended bool
	done  sync.WaitGroup
}

func newLines(w io.WriteCloser) *lines {
	l := &lines{}
	l.cond.L = &l.mu
	l.done.Go(func() {
		defer w.Close()
		out := json.NewEncoder(w)
		for {
			l.mu.Lock()
			for len(l.queue) == 0 && !l.ended {
				l.cond.Wait()
			}
			queue := l.queue
			l.queue = nil
			l.mu.Unlock()
			if len(queue) == 0 {
				return
			}
			for _, v := range queue {
				if out.Encode(v) != nil {
					return // the other side is gone, which its reader knows
				}
			}
		}
	})
	return l
}

func (l *lines) say(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.queue = append(l.queue, v)
		l.cond.Signal()
	}
}

// end closes the writer when all is said.
func (l *lines) end() {
	l.mu.Lock()
	l.ended = true
	l.cond.Signal()
	l.mu.Unlock()
	l.done.Wait()
}

package peertest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
)

// maxStderr is how much of what a process says on its standard error is kept.
const maxStderr = 64 << 10

// A life is one process of a [Process].
type life struct {
	start  processStart
	cmd    *exec.Cmd
	orders *lines
	gone   chan struct{} // closed when the process is gone and all its answers are in
	stderr tail

	mu      sync.Mutex
	next    uint64
	pending map[uint64]func(answer, error)
	ended   error
}

// begin starts a process.
func begin() (*life, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l := &life{cmd: exec.Command(self), gone: make(chan struct{}), pending: map[uint64]func(answer, error){}}
	l.cmd.Env = append(os.Environ(), processEnv+"=1")
	l.cmd.Stderr = &l.stderr
	dieWithParent(l.cmd)
	in, err := l.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	l.orders = newLines(in)
	go func() {
		// Linux kills the process when the thread ends that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := l.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		l.listen(out)
		err = l.cmd.Wait()
		l.orders.end()
		l.end(err)
		close(l.gone)
	}()
	if err := <-started; err != nil {
		l.orders.end()
		return nil, err
	}
	return l, nil
}

// listen reads answers until the process is gone.
func (l *life) listen(out io.Reader) {
	answers := json.NewDecoder(out)
	for {
		var a answer
		if err := answers.Decode(&a); err != nil {
			// What is no answer says that the test's binary does not call
			// RunProcess: it runs its tests.
			l.cmd.Process.Kill()
			io.Copy(io.Discard, out)
			return
		}
		l.mu.Lock()
		done := l.pending[a.ID]
		delete(l.pending, a.ID)
		l.mu.Unlock()
		if done != nil {
			done(a, decodeError(a.Code, a.Text))
		}
	}
}

// end fails what has no answer.
func (l *life) end(err error) {
	l.mu.Lock()
	l.ended = fmt.Errorf("peertest: %w (%v)%s", ErrKilled, err, l.stderr.String())
	pending := l.pending
	l.pending = nil
	l.mu.Unlock()
	for _, done := range pending {
		done(answer{}, l.ended)
	}
}

// ask gives a request, and has done called with its answer, once.
func (l *life) ask(r request, done func(answer, error)) (id uint64) {
	l.mu.Lock()
	if l.ended != nil {
		err := l.ended
		l.mu.Unlock()
		done(answer{}, err)
		return 0
	}
	l.next++
	r.ID = l.next
	l.pending[r.ID] = done
	l.mu.Unlock()
	l.orders.say(r)
	return r.ID
}

// do gives a request and waits for its answer. When ctx ends it asks to have it
// ended, and waits for what became of it.
func (l *life) do(ctx context.Context, r request) (answer, error) {
	if err := ctx.Err(); err != nil {
		return answer{}, err
	}
	type result struct {
		answer
		err error
	}
	results := make(chan result, 1)
	id := l.ask(r, func(a answer, err error) { results <- result{a, err} })
	var got result
	select {
	case got = <-results:
	case <-ctx.Done():
		c, text := encodeError(ctx.Err())
		l.ask(request{Do: "cancel", Of: id, Code: c, Name: text}, func(answer, error) {})
		got = <-results
	}
	return got.answer, got.err
}

// call is do for requests whose answer is a value.
func (l *life) call(ctx context.Context, r request, v any) error {
	a, err := l.do(ctx, r)
	if err == nil && v != nil {
		err = json.Unmarshal(a.More, v)
	}
	return err
}

func (l *life) kill() {
	l.cmd.Process.Kill() // fails if it is gone
	<-l.gone
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	data []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, b...)
	if over := len(t.data) - maxStderr; over > 0 {
		t.data = append([]byte(nil), t.data[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.data) == 0 {
		return ""
	}
	return "; it said: " + string(t.data)
}

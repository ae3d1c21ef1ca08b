package compiler

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"
)

// errTime is why a compiler process is killed that takes too long.
var errTime = errors.New("it takes too long")

// maxWords is how many bytes are kept of what a compiler process writes to its
// standard error.
const maxWords = 4 << 10

// run has a process load and compile a module, see [build].
func (c *Compiler) run(ctx context.Context, wasm []byte, dir, work string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.opts.Time, errTime)
	defer cancel()
	module, give, err := os.Pipe()
	if err != nil {
		return err
	}
	defer give.Close()
	hear, answers, err := os.Pipe()
	if err != nil {
		module.Close()
		return err
	}
	defer hear.Close()

	path, err := executable()
	if err != nil {
		return err
	}
	words := &head{max: maxWords}
	cmd := exec.CommandContext(ctx, path)
	cmd.Args = []string{childName, strconv.FormatUint(c.opts.Memory, 10), strconv.FormatBool(c.opts.Trusted), dir, work}
	cmd.Env = []string{}
	cmd.Dir = work
	cmd.Stderr = words
	cmd.ExtraFiles = []*os.File{module, answers} // moduleFile, answerFile
	cmd.WaitDelay = time.Second
	tie(cmd)
	// The system kills the process when the thread ends that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Start()
	module.Close()
	answers.Close()
	if err != nil {
		return fmt.Errorf("compiler: start a process: %w", err)
	}
	given := make(chan struct{})
	go func() {
		defer close(given)
		// Without a reader this fails; then there is no answer either.
		give.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(wasm))))
		give.Write(wasm)
	}()
	var a answer
	silent := gob.NewDecoder(io.LimitReader(hear, maxAnswer)).Decode(&a)
	if silent != nil {
		cmd.Process.Kill() // it has ended, or speaks nonsense
	}
	ended := cmd.Wait()
	give.Close()
	<-given
	switch {
	case silent == nil:
		return a.err()
	case ctx.Err() != nil && context.Cause(ctx) == errTime:
		return &LimitError{Limit: Time, Max: uint64(c.opts.Time)}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case outOfMemory(words.b.Bytes()):
		return &LimitError{Limit: Memory, Max: c.opts.Memory}
	}
	return fmt.Errorf("compiler: the process that compiles ended without an answer: %w: %.200s", ended, words.b.String())
}

// outOfMemory reports whether a process has ended for lack of memory, by what it
// wrote last: the words are those of Go's runtime, and of the system's error.
func outOfMemory(words []byte) bool {
	for _, text := range []string{"out of memory", "cannot allocate memory", "pthread_create failed", "failed to create new OS thread"} {
		if bytes.Contains(words, []byte(text)) {
			return true
		}
	}
	return false
}

// A head keeps the first bytes that are written to it.
type head struct {
	b   bytes.Buffer
	max int
}

func (h *head) Write(p []byte) (int, error) {
	h.b.Write(p[:min(len(p), h.max-h.b.Len())])
	return len(p), nil
}

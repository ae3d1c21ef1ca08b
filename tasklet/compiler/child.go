package compiler

import (
	"context"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"

	"github.com/dstackless/dstackless/tasklet/program"
)

// childName is what a process is called, in place of its executable, that is
// started to compile one program. Its arguments are the limit on its memory in
// bytes, whether loops are trusted, and the folders of [build].
const childName = "dstackless-compiler"

// The descriptors of such a process, besides the three that each has. From one it
// reads the module behind its length, eight bytes, and then nothing until whoever
// started it has ended; to the other it writes an answer.
const (
	moduleFile = 3 + iota
	answerFile
)

// gcPercent is for [debug.SetGCPercent]: with it, compiling takes a tenth less time.
const gcPercent = 400

// callable says that this executable can be started as a compiler.
var callable atomic.Bool

// RunChild is for the first line of main, and of TestMain: before the program
// looks at its arguments, its environment or its standard input. In a process that
// a [Compiler] has started it compiles one program and never returns. In any other
// it returns at once, and says with that that this executable can be started in
// this way. An executable that does not call it is never started.
func RunChild() {
	if len(os.Args) != 5 || os.Args[0] != childName {
		callable.Store(true)
		return
	}
	limit, err := strconv.ParseUint(os.Args[1], 10, 63)
	if err != nil {
		os.Exit(2)
	}
	os.Exit(child(limit, os.Args[2] == strconv.FormatBool(true), os.Args[3], os.Args[4]))
}

// child compiles the program that it is given, and returns the exit status.
func child(limit uint64, trusted bool, dir, work string) int {
	if err := confine(limit); err != nil {
		os.Stderr.WriteString(err.Error())
		return 2
	}
	// Memory is there to be used, up to three quarters of the limit.
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(int64(limit / 4 * 3))
	from, to := os.NewFile(moduleFile, "module"), os.NewFile(answerFile, "answer")
	var size uint64
	if err := binary.Read(from, binary.LittleEndian, &size); err != nil || size > program.MaxModule {
		return 2
	}
	wasm := make([]byte, size)
	if _, err := io.ReadFull(from, wasm); err != nil {
		return 2
	}
	go func() {
		from.Read(make([]byte, 1))
		os.Exit(2) // nobody waits for the answer any more
	}()
	if gob.NewEncoder(to).Encode(answerOf(build(context.Background(), wasm, trusted, dir, work))) != nil {
		return 2
	}
	return 0
}

// An answer is what a compiler process says when it has come to an end.
type answer struct {
	Text    string // of an error
	Refused *program.UnsupportedError
	Over    *program.LimitError
}

// maxAnswer is the length of the longest answer, in bytes.
const maxAnswer = 64 << 10

func answerOf(err error) (a answer) {
	if err != nil {
		a.Text = err.Error()[:min(len(err.Error()), maxAnswer/4)]
		errors.As(err, &a.Over)
		if errors.As(err, &a.Refused) {
			a.Refused.Detail = a.Refused.Detail[:min(len(a.Refused.Detail), maxAnswer/4)]
		}
	}
	return a
}

func (a *answer) err() error {
	switch {
	case a.Over != nil:
		return a.Over
	case a.Refused != nil:
		return a.Refused
	case a.Text != "":
		return errors.New(a.Text)
	}
	return nil
}

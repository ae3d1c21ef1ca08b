package main

import (
	"errors"
	"os"
)

// A file that was closed cannot be told from /dev/null that is open for reading and
// writing: see wasClosed.
var (
	errOutputClosed = errors.New("standard output is closed (or is /dev/null, open for reading, too); " +
		"to throw away what is printed use >/dev/null")
	errInputClosed = errors.New("standard input is closed (or is /dev/null, open for writing, too); " +
		"for no input use </dev/null")
)

// An output is standard output. It keeps the first error of a write, so that one
// that a library does not look at is noticed, too.
type output struct {
	file *os.File
	err  error
}

// ready reports why the output cannot be written to, as far as that is known
// before it is.
func (o *output) ready() error {
	if o.err == nil && wasClosed(o.file) {
		return errOutputClosed
	}
	return o.err
}

// terminal reports whether people may look at what is written.
func (o *output) terminal() bool {
	info, err := o.file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Write implements io.Writer. After an error it writes no more.
func (o *output) Write(b []byte) (n int, err error) {
	if o.err = o.ready(); o.err == nil {
		n, o.err = o.file.Write(b)
	}
	return n, o.err
}

// An input is standard input.
type input struct{ file *os.File }

// Read implements io.Reader.
func (i input) Read(b []byte) (int, error) {
	if wasClosed(i.file) {
		return 0, errInputClosed
	}
	return i.file.Read(b)
}

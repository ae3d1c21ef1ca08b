package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// maxUnwritten is how many lines of the log wait for whoever reads it, 1024.
	// Further ones are dropped and counted.
	maxUnwritten = 1024
	// flushTime is how long the end of the program waits for the log to be
	// written, one second.
	flushTime = time.Second
)

// A logWriter writes lines in the background. A reader that stops reading, such as
// a pager, a terminal that is held or a full pipe, then holds up nobody who logs.
type logWriter struct {
	ended chan struct{} // closed when all is written

	mu     sync.Mutex
	lines  chan []byte // nil after Close
	missed int         // lines that were dropped since the last one that was queued
}

func newLogWriter(out io.Writer) *logWriter {
	lines := make(chan []byte, maxUnwritten)
	w := &logWriter{lines: lines, ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		for line := range lines {
			out.Write(line) // who does not take the log misses it
		}
	}()
	return w
}

// Write queues a line, and never waits or fails.
func (w *logWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lines == nil {
		return len(line), nil
	}
	next := bytes.Clone(line)
	if w.missed > 0 {
		next = fmt.Appendf(next, "%d lines of the log before this one were dropped: nobody read them\n", w.missed)
	}
	select {
	case w.lines <- next:
		w.missed = 0
	default:
		w.missed++
	}
	return len(line), nil
}

// Close waits until all lines are written, though no longer than flushTime.
func (w *logWriter) Close() error {
	w.mu.Lock()
	if w.lines != nil {
		close(w.lines)
		w.lines = nil
	}
	w.mu.Unlock()
	select {
	case <-w.ended:
	case <-time.After(flushTime):
	}
	return nil
}

package peertest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/dstackless/dstackless/peertest"
)

// A recorder is a test whose failures are no failures.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

type foreign struct {
	context.Context
	done chan struct{}
}

func (f foreign) Done() <-chan struct{} { return f.done }

func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	nw := peertest.New(r, 2, nil)
	other := make(chan struct{})
	defer close(other)
	go func() { <-other }() // the test's own
	nw.Close()
	nw.Close()
	if len(r.failures) > 0 {
		t.Errorf("failed: %v", r.failures)
	}
}

// In virtual time, for Close is patient.
func TestLeak(t *testing.T) { synctest.Test(t, testLeak) }

func testLeak(t *testing.T) {
	r := &recorder{TB: t}
	nw := peertest.New(r, 1, &peertest.Options{Simulated: true})
	// Package context has a goroutine wait for a context that it does not know.
	_, cancel := context.WithCancel(foreign{t.Context(), make(chan struct{})})
	nw.Close()
	cancel()
	if len(r.failures) != 1 || !strings.Contains(r.failures[0], "propagateCancel") {
		t.Errorf("failures: %q", r.failures)
	}
}

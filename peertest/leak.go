package peertest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"
)

// leakPatience is how long goroutines have to end that need not be waited for.
const leakPatience = 5 * time.Second

// A scope is what one test has begun. Its goroutines are told from those of other
// tests that run at the same time by a profiler label, which a goroutine has from
// the one that began it.
type scope struct {
	name     string
	networks int // open
}

const leakLabel = "peertest"

// scopes are the tests that have a network open. A goroutine that a test begins
// by using one of its networks may have the label of another: so there is one
// label for them all, and the last one that is closed looks for it.
var scopes = struct {
	sync.Mutex
	of    map[testing.TB]*scope
	count int
}{of: map[testing.TB]*scope{}}

// enter begins a network of test t, and labels the calling goroutine.
func enter(t testing.TB) {
	scopes.Lock()
	defer scopes.Unlock()
	s := scopes.of[t]
	if s == nil {
		scopes.count++
		s = &scope{name: fmt.Sprintf("scope %d", scopes.count)}
		scopes.of[t] = s
	}
	s.networks++
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(leakLabel, s.name)))
}

// leave ends a network of test t. It returns the stacks of the goroutines that
// are left, or nothing.
func leave(t testing.TB) string {
	scopes.Lock()
	s := scopes.of[t]
	s.networks--
	last := s.networks == 0
	if last {
		delete(scopes.of, t)
	}
	scopes.Unlock()
	if !last {
		return ""
	}
	left := s.left()
	for start := time.Now(); left != "" && time.Since(start) < leakPatience; left = s.left() {
		time.Sleep(10 * time.Millisecond)
	}
	return left
}

func (s *scope) left() string {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return err.Error()
	}
	var left []string
	label := fmt.Sprintf("%q:%q", leakLabel, s.name)
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, label) && !ofTest(stack) {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}

// ofTest reports whether a goroutine was begun by the test itself: its outermost
// function is in a test's file, or is that which runs tests.
func ofTest(stack string) bool {
	lines := strings.Split(strings.TrimSpace(stack), "\n")
	for len(lines) > 1 && strings.Contains(lines[len(lines)-1], "\tsync.(*WaitGroup).Go") {
		lines = lines[:len(lines)-1]
	}
	last := lines[len(lines)-1]
	return strings.Contains(last, "_test.go:") || strings.Contains(last, "\ttesting.") || strings.Contains(last, "\truntime.main")
}

package content_test

import (
	"runtime"
	"testing"
)

// However much a peer fetches, nothing that runs for a fetch goes on after it.
func TestGetManyLeavesNothingRunning(t *testing.T) {
	a, b := start(t, ""), start(t, "")
	connect(t, b, a)
	fetch := func(from, to int) {
		for i := from; i < to; i++ {
			data := append(random(1000, byte(i)), byte(i>>8))
			get(t, b, add(t, a, data), data, a.ID())
		}
	}
	fetch(0, 20)
	before := runtime.NumGoroutine()
	fetch(20, 220)
	if after := runtime.NumGoroutine(); after > before+50 {
		t.Errorf("%d goroutines run after 200 more fetches, %d before", after, before)
	}
}

package lifecycle_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dstackless/dstackless/internal/lifecycle"
)

func Example() {
	gate := lifecycle.NewGate()
	gate.Go(func() { <-gate.Context().Done() })
	gate.Close()
	gate.Wait()
	fmt.Println(gate.Enter())
	// Output: false
}

func TestCloseWaitsForWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := lifecycle.NewGate()
		var ended atomic.Int32
		for range 10 {
			gate.Go(func() {
				time.Sleep(time.Second)
				ended.Add(1)
			})
		}
		if !gate.Enter() {
			t.Fatal("an open gate let nobody in")
		}
		go func() {
			time.Sleep(2 * time.Second)
			ended.Add(1)
			gate.Leave()
		}()
		if !gate.Close() || gate.Close() {
			t.Error("only the first Close finds the gate open")
		}
		gate.Wait()
		if n := ended.Load(); n != 11 {
			t.Errorf("Wait returned after %d of 11 pieces of work", n)
		}
	})
}

func TestNothingBeginsAfterClose(t *testing.T) {
	gate := lifecycle.NewGate()
	gate.Close()
	if !gate.Closed() || gate.Enter() || gate.Go(func() { t.Error("work began after Close") }) {
		t.Error("a closed gate let work in")
	}
	gate.Wait()
}

func TestUntil(t *testing.T) {
	gate := lifecycle.NewGate()
	first, release := gate.Until(context.Background())
	release()
	if first.Err() == nil {
		t.Error("the context did not end when it was released")
	}
	second, release := gate.Until(context.Background())
	defer release()
	if second.Err() != nil {
		t.Error("the context ended before Close")
	}
	gate.Close()
	<-second.Done()
}

package backoff_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dstackless/dstackless/internal/backoff"
)

func Example() {
	try := func() error { return errors.New("nobody is there") }
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	pause := backoff.Backoff{First: 10 * time.Millisecond, Max: time.Second}
	err := try()
	for err != nil && pause.Wait(ctx) {
		err = try()
	}
	fmt.Println(err)
	// Output: nobody is there
}

func TestNext(t *testing.T) {
	b := backoff.Backoff{First: time.Second, Max: 5 * time.Second}
	for round := range 2 {
		for n, want := range []time.Duration{1, 2, 4, 5, 5} {
			want *= time.Second
			if got := b.Next(); got < want || got > want+want/4 {
				t.Errorf("round %d: wait %d is %v, want %v and up to a quarter more", round, n, got, want)
			}
		}
		b.Reset()
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backoff.Backoff{First: time.Minute, Max: time.Hour}
		start := time.Now()
		if !b.Wait(t.Context()) || time.Since(start) < time.Minute {
			t.Errorf("Wait returned after %v", time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if b.Wait(ctx) || time.Since(start) != time.Second {
			t.Errorf("Wait returned %v after its context had ended", time.Since(start)-time.Second)
		}
	})
}

package journal_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet/journal"
)

// Updates that come while one is written are written together, and one that
// fails is its own affair.
func TestUpdatesTogether(t *testing.T) {
	j := open(t, t.TempDir())
	begun, goOn := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		err := j.Update(func(tx *journal.Tx) error {
			close(begun)
			<-goOn
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	const n = 50
	own := errors.New("own")
	var mu sync.Mutex
	last := map[int]int{} // the last transaction that each was in
	for i := range n {
		all.Go(func() {
			err := j.Update(func(tx *journal.Tx) error {
				mu.Lock()
				last[i] = tx.ID()
				mu.Unlock()
				if err := tx.Put("t", fmt.Sprint(i), []byte{byte(i)}); err != nil {
					return err
				}
				if i%10 == 0 {
					return own
				}
				return nil
			})
			if fails := i%10 == 0; errors.Is(err, own) != fails || (err == nil) == fails {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	for j.Waiting() < n {
		time.Sleep(time.Millisecond)
	}
	close(goOn)
	all.Wait()
	ids := map[int]bool{}
	for i, id := range last {
		if i%10 != 0 {
			ids[id] = true
		}
	}
	if len(ids) != 1 {
		t.Errorf("they were written in %d transactions", len(ids))
	}
	entries, err := j.Entries("t")
	if err != nil || len(entries) != n-n/10 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func BenchmarkUpdate(b *testing.B) {
	put := func(tx *journal.Tx) error { return tx.Put("t", "key", make([]byte, 1000)) }
	b.Run("one", func(b *testing.B) {
		j := open(b, b.TempDir())
		for b.Loop() {
			if err := j.Update(put); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("many", func(b *testing.B) {
		j := open(b, b.TempDir())
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := j.Update(put); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

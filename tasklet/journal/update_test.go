package journal_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/dstackless/dstackless/tasklet/journal"
)

// Of updates that share a write, one that fails is its own affair.
func TestUpdatesTogether(t *testing.T) {
	j := open(t, t.TempDir())
	const n = 50
	own := errors.New("own")
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			err := j.Update(func(tx *journal.Tx) error {
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
	all.Wait()
	entries := 0
	err := j.Each("t", func(string, []byte) error { entries++; return nil })
	if err != nil || entries != n-n/10 {
		t.Errorf("%d entries, %v", entries, err)
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

package journal_test

import (
	"fmt"
	"os"

	"github.com/dstackless/dstackless/tasklet/journal"
)

func Example() {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	j, err := journal.Open(dir)
	if err != nil {
		panic(err)
	}
	defer j.Close()
	err = j.Update(func(tx *journal.Tx) error { return tx.Put("moves", "42", []byte("committed")) })
	if err != nil {
		panic(err)
	}
	err = j.Each("moves", func(key string, value []byte) error {
		fmt.Printf("%s %s\n", key, value)
		return nil
	})
	if err != nil {
		panic(err)
	}
	// Output: 42 committed
}

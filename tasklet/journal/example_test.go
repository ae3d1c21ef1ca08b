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
	entries, err := j.Entries("moves")
	fmt.Printf("%s %v\n", entries, err)
	// Output: [{42 committed}] <nil>
}

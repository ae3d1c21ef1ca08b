package journal_test

import (
	"errors"
	"testing"

	"github.com/dstackless/dstackless/tasklet/journal"
)

func TestGet(t *testing.T) {
	j := open(t, t.TempDir())
	got := ""
	get := func(table journal.Table, key string) error {
		return j.Get(table, key, func(value []byte) error { got = string(value); return nil })
	}
	if err := get("t", "a"); !errors.Is(err, journal.ErrNoEntry) {
		t.Errorf("of no table: %v", err)
	}
	if err := j.Update(func(tx *journal.Tx) error { return tx.Put("t", "a", []byte("value")) }); err != nil {
		t.Fatal(err)
	}
	if err := get("t", "a"); err != nil || got != "value" {
		t.Errorf("%q, %v", got, err)
	}
	if err := get("t", "b"); !errors.Is(err, journal.ErrNoEntry) {
		t.Errorf("of no entry: %v", err)
	}
}

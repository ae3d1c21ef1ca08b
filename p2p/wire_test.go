package p2p_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/dstackless/dstackless/p2p"
)

// What is read from a link of a resumable stream is, written again, no longer
// than it was, and is then read as the same.
func FuzzLink(f *testing.F) {
	seeds, err := os.ReadDir("testdata/fuzz/FuzzLink")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		first, err := p2p.Reread(b)
		if err != nil {
			return
		}
		if len(first) > len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(first))
		}
		again, err := p2p.Reread(first)
		if err != nil || !bytes.Equal(again, first) {
			t.Fatalf("%x, read again: %x, %v", first, again, err)
		}
	})
}

// Text that is read as a network key is what the key is written as.
func FuzzNetworkKey(f *testing.F) {
	f.Add(p2p.NewNetworkKey().Text())
	f.Add("dsnet1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := p2p.ParseNetworkKey(text)
		if err == nil && k.Text() != text && k.Text()+"\n" != text {
			t.Fatalf("%q was read as a key", text)
		}
	})
}

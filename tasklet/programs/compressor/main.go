// Command compressor compresses and expands, one level in each goroutine.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"

	"github.com/andybalholm/brotli"
)

func main() {
	rounds, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for n := range rounds {
		data := text(uint64(n))
		lines := make([]string, 7)
		var wg sync.WaitGroup
		for level := range lines {
			wg.Go(func() { lines[level] = squeeze(data, level) })
		}
		wg.Wait()
		for _, line := range lines {
			fmt.Println("round", n, line)
		}
	}
}

// text is neither noise nor dull.
func text(seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 5))
	data := []byte("In the beginning ")
	for len(data) < 40_000 {
		if rnd.IntN(5) == 0 {
			data = strconv.AppendUint(data, rnd.Uint64(), 36)
			continue
		}
		from := rnd.IntN(len(data))
		data = append(data, data[from:min(len(data), from+rnd.IntN(60))]...)
	}
	return data
}

func squeeze(data []byte, level int) string {
	var small bytes.Buffer
	w := brotli.NewWriterLevel(&small, level)
	if _, err := w.Write(data); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	size, sum := small.Len(), sha256.Sum256(small.Bytes())
	again, err := io.ReadAll(brotli.NewReader(&small))
	if err != nil || !bytes.Equal(again, data) {
		log.Fatalf("level %d: expanded to something else, %v", level, err)
	}
	return fmt.Sprintf("level %d: %d to %d bytes, %x", level, len(data), size, sum[:8])
}

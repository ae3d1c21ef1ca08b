package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// hoard fills as many MiB of memory as it is told with what does not compress,
// and then changes a page every millisecond.
func hoard(size int) {
	heap := make([]byte, size<<20)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(heap)
	fmt.Println("filled")
	for {
		heap[rand.IntN(len(heap))]++
		time.Sleep(time.Millisecond)
	}
}

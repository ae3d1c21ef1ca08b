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

// keep fills as many MiB of memory as it is told with what does not compress,
// and changes a page every second.
func keep(size int) {
	heap := make([]byte, size<<20)
	rand.NewChaCha8([32]byte{1}).Read(heap)
	fmt.Println("filled")
	for {
		time.Sleep(time.Second)
		heap[rand.IntN(len(heap))]++
	}
}

// churn fills as many MiB of memory as it is told with what does not compress,
// and then writes 10 MB a second of new contents, page by page, all over it.
func churn(size int) {
	heap := make([]byte, size<<20)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(heap)
	fmt.Println("filled")
	const page, perSecond = 4096, 10_000_000
	began, written := time.Now(), 0
	for {
		for due := int(time.Since(began).Seconds() * perSecond); written < due; written += page {
			random.Read(heap[rand.IntN(len(heap)/page)*page:][:page])
		}
		if behind := time.Since(began); behind > time.Second { // what a stop made it miss is not made up for
			began, written = time.Now(), 0
		}
		time.Sleep(time.Millisecond)
	}
}

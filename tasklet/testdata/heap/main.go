// Command heap fills as many MiB of memory as it is told with what does not
// compress, and then changes a page every millisecond.
package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"
)

func main() {
	size, _ := strconv.Atoi(os.Args[1])
	heap := make([]byte, size<<20)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(heap)
	fmt.Println("filled")
	for {
		heap[rand.IntN(len(heap))]++
		time.Sleep(time.Millisecond)
	}
}

// Command program is what the NAT example moves: it counts, and holds as many
// bytes that no compression helps with as its first argument says.
package main

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"
)

func main() {
	size := 0
	if len(os.Args) > 1 {
		size, _ = strconv.Atoi(os.Args[1])
	}
	load := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(load)
	fmt.Printf("carrying %d bytes, SHA-256 %x\n", size, sha256.Sum256(load))
	for n := 1; n <= 1e6; n++ {
		time.Sleep(100 * time.Millisecond)
		if n%10 == 0 {
			fmt.Printf("count %d, still %x\n", n, sha256.Sum256(load))
		}
	}
}

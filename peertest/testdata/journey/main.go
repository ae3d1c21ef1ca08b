// Program journey runs until it has been moved to another peer and back. It exits
// with its first argument as its status if all of its memory is as it was, and with
// 1 if it is not.
package main

import (
	"context"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/dstackless/dstackless/tasklet/guest"
)

// pause lies between two looks at where the program is.
const pause = 20 * time.Millisecond

func main() {
	status, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	numbers := make([]uint64, 1<<15)
	fill(numbers, func(i int, x uint64) { numbers[i] = x })
	home := host()
	for host() == home {
		time.Sleep(pause)
	}
	for host() != home {
		time.Sleep(pause)
	}
	fill(numbers, func(i int, x uint64) {
		if numbers[i] != x {
			log.Fatalf("number %d is %d, and was %d", i, numbers[i], x)
		}
	})
	os.Exit(status)
}

// fill calls f with a number for each place in numbers.
func fill(numbers []uint64, f func(i int, x uint64)) {
	x := uint64(1)
	for i := range numbers {
		x = x*6364136223846793005 + 1442695040888963407
		f(i, x)
	}
}

// host returns the ID of the peer that runs the program.
func host() string {
	id, err := guest.Host(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	return id
}

package main

import (
	"fmt"
	"log"
	"time"
)

var sink [][]byte

// forever computes without end, and without a call.
func forever() {
	fmt.Println("started")
	for i := 0; ; i++ {
		if i == -1 {
			fmt.Println("never")
		}
	}
}

// later waits for as long as it is told, if it is.
func later(wait string) {
	fmt.Println("started")
	if wait == "" {
		return
	}
	d, err := time.ParseDuration(wait)
	if err != nil {
		log.Fatal(err)
	}
	time.Sleep(d)
}

// gorge takes memory without end, after a while.
func gorge(wait string) {
	later(wait)
	for {
		sink = append(sink, make([]byte, 1<<20))
	}
}

// chatter writes without end, after a while.
func chatter(wait string) {
	later(wait)
	for {
		fmt.Println("and so on")
	}
}

// crash panics, after a while.
func crash(wait string) {
	later(wait)
	var m map[int]int
	m[1] = 1
}

package main

import "fmt"

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

// gorge takes memory without end.
func gorge() {
	fmt.Println("started")
	for {
		sink = append(sink, make([]byte, 1<<20))
	}
}

// crash panics.
func crash() {
	fmt.Println("started")
	var m map[int]int
	m[1] = 1
}

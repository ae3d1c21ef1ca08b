package main

import (
	"fmt"
	"os"
	"strconv"
)

// deep calls itself as often as it is told, in each of four goroutines.
func deep() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	sums := make(chan int)
	for range 4 {
		go func() { sums <- descend(n) }()
	}
	for range 4 {
		fmt.Println(<-sums)
	}
}

//go:noinline
func descend(n int) int {
	if n == 0 {
		return 0
	}
	return descend(n-1) + 1
}

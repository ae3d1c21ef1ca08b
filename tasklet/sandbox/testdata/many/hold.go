package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
)

// hold keeps so many MiB alive, replaces all of that piece by piece, and
// says which memory limit it was given.
func hold() {
	mebibytes, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	var held [][]byte
	for size := 0; size < mebibytes<<20; {
		b := make([]byte, 64+rand.IntN(8<<10))
		size += len(b)
		held = append(held, b)
	}
	for range held {
		n := rand.IntN(len(held))
		held[n] = make([]byte, len(held[n]))
	}
	sum := 0
	for _, b := range held {
		sum += len(b)
	}
	fmt.Println("held", sum>>20, os.Environ())
}

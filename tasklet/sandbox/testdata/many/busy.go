package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

//go:noinline
func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

// closures is fib of functions that the compiler does not know.
func closures(n int) int {
	var fib func(int) int
	fib = func(n int) int {
		if n < 2 {
			return n
		}
		return fib(n-1) + fib(n-2)
	}
	return fib(n)
}

//go:noinline
func even(n, k int) int {
	if n == 0 {
		return k
	}
	return odd(n-1, k) + odd(n-1, -k)
}

//go:noinline
func odd(n, k int) int {
	if n == 0 {
		return -k
	}
	return even(n-1, k) + even(n-1, -k)
}

// large has a frame that is larger than the stack of a new goroutine.
//
//go:noinline
func large(n uint32) (sum uint32) {
	var a [3000]uint32
	for k := range a {
		a[k] = n + uint32(k)
	}
	for _, v := range a {
		sum = sum*31 + v
	}
	return sum
}

// frames has many goroutines compute for longer than they may at a time, and
// then call a function that needs more stack than they have.
func frames(n int) {
	sums := make(chan uint32)
	for k := range n {
		go func() {
			x := uint32(k)
			for range 8_000_000 {
				x = x*1664525 + 1013904223
			}
			sums <- large(x)
		}()
	}
	total := uint32(0)
	for range n {
		total += <-sums
	}
	fmt.Println("frames", total)
}

// busy computes without end, or for a while, in different ways.
func busy() {
	n := 40
	if len(os.Args) > 2 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	fmt.Println("start")
	switch os.Args[1] {
	case "calls": // function calls, but none of the host
		fmt.Println(fib(n))
	case "forever": // the same, without end
		for fib(20) > 0 {
		}
	case "closures": // for hours, without a loop
		fmt.Println(closures(100))
	case "frames":
		frames(n)
	case "mutual": // the same
		fmt.Println(even(100, 1))
	case "copies": // few turns that take long
		a, b := make([]byte, 16<<20), make([]byte, 16<<20)
		for range 1 << 30 {
			copy(a, b)
		}
	case "loop": // no calls at all
		x := uint32(1)
		for x != 0 {
			x = x*1664525 | 1
		}
		fmt.Println(x)
	case "memory":
		var all [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			all = append(all, b)
		}
	case "timers": // another goroutine wants to run while this one computes
		ticks := make(chan int)
		go func() {
			for k := range 5 {
				time.Sleep(time.Millisecond)
				ticks <- k
			}
			close(ticks)
		}()
		for open := true; open; {
			select {
			case _, open = <-ticks:
			default:
				fib(25)
			}
		}
		fmt.Println("ticked")
	case "panic":
		panic("at the guest's")
	case "exit":
		os.Exit(n)
	case "deep":
		var dive func(int) int
		dive = func(k int) int {
			if k == 0 {
				time.Sleep(time.Millisecond)
				return 0
			}
			return dive(k-1) + 1
		}
		fmt.Println(dive(n))
	}
}

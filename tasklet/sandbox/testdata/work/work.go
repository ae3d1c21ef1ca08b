// Package work is what guests compute, and what the host computes beside them
// to see how long it takes natively.
package work

import (
	"math"
	"math/rand/v2"
	"slices"
)

// All are the kinds of work, each with about as much to do natively.
var All = map[string]func() uint64{"fib": Fib, "matrix": Matrix, "sort": Sort}

//go:noinline
func fib(n uint64) uint64 {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

// Fib calls and does little else.
func Fib() uint64 { return fib(32) }

// Matrix is loops in which nothing is called.
func Matrix() uint64 {
	const n = 200
	var a, b, c [n][n]float64
	for y := range n {
		for x := range n {
			a[y][x], b[y][x] = float64(x+y), float64(x-y)
		}
	}
	for y := range n {
		for x := range n {
			sum := 0.0
			for k := range n {
				sum += a[y][k] * b[k][x]
			}
			c[y][x] = sum
		}
	}
	sum := 0.0
	for y := range n {
		for x := range n {
			sum += c[y][x]
		}
	}
	return math.Float64bits(sum)
}

// Sort is loops and calls, of functions known and not known to the compiler.
func Sort() uint64 {
	rnd := rand.New(rand.NewPCG(1, 2))
	a := make([]uint64, 50_000)
	for i := range a {
		a[i] = rnd.Uint64()
	}
	b := slices.Clone(a)
	slices.Sort(a)
	slices.SortFunc(b, func(x, y uint64) int {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	sum := uint64(0)
	for i := range a {
		sum = sum*31 + a[i] ^ b[i]
	}
	return sum
}

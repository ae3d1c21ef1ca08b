// Command program is what the golden continuations are of. It is kept compiled,
// as program.wasm.zst, because another compiler would lay out its memory in
// another way.
package main

import "time"

// tree is a heap with pointers.
type tree struct {
	left, right *tree
	value       int
}

func grow(depth, value int) *tree {
	if depth == 0 {
		return nil
	}
	return &tree{grow(depth-1, 2*value), grow(depth-1, 2*value+1), value}
}

func (t *tree) sum() int {
	if t == nil {
		return 0
	}
	return t.value + t.left.sum() + t.right.sum()
}

// mix computes in a loop that calls nothing.
func mix(turns int) (a uint32, b uint64, c float64) {
	a, b, c = 1, 2, 3
	for k := range turns {
		a = a*1664525 + 1013904223
		b = b*6364136223846793005 + uint64(a)
		if k%3 == 0 {
			c = c/2 + float64(b>>40)
		}
	}
	return a, b, c
}

// dive stands in the middle of a recursion for a while.
func dive(depth int, wait <-chan int) int {
	if depth == 0 {
		return <-wait
	}
	return dive(depth-1, wait) + 1
}

func main() {
	t := grow(10, 1)
	names := map[float64]int{}
	wait := make(chan int)
	deep := make(chan int)
	go func() { deep <- dive(200, wait) }()
	go func() {
		time.Sleep(50 * time.Millisecond)
		wait <- t.sum()
	}()
	println("started")
	for i := range 8 {
		a, b, c := mix(10_000_000)
		names[c] = int(a) + i
		println(a, b, c)
	}
	sum := 0
	for _, v := range names {
		sum += v
	}
	time.Sleep(100 * time.Millisecond)
	println(<-deep, sum)
}

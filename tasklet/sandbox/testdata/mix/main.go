// Command mix does a bit of everything, the same every time, and prints what
// it did: goroutines, channels, maps, timers, deep recursion, panics that are
// recovered, garbage. It knows nothing of who runs it.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"time"
)

type node struct {
	left, right *node
	value       int
}

func grow(depth int, out chan<- int) *node {
	if depth == 0 {
		return nil
	}
	n := &node{value: depth}
	n.left = grow(depth-1, out)
	if depth%4 == 0 {
		out <- depth
	}
	n.right = grow(depth-2+depth%2, nil2(out, depth))
	return n
}

func nil2(out chan<- int, depth int) chan<- int {
	if depth%3 == 0 {
		time.Sleep(time.Microsecond)
	}
	return out
}

func (n *node) sum() int {
	if n == nil {
		return 0
	}
	return n.value + n.left.sum() + n.right.sum()
}

func dive(n int, f func()) int {
	var pad [64]byte
	pad[n%64] = byte(n)
	if n == 0 {
		f()
		return 0
	}
	return dive(n-1, f) + int(pad[n%64]&1)
}

func nilMap() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("recovered: %v", r)
		}
	}()
	var p *node
	p.value++
	return nil
}

func main() {
	rounds := 20
	if len(os.Args) > 1 {
		rounds, _ = strconv.Atoi(os.Args[1])
	}
	fmt.Println("args", os.Args, len(os.Environ()))
	counts := map[string]int{}
	var mu sync.Mutex
	for round := range rounds {
		var wg sync.WaitGroup
		for w := range 3 {
			wg.Go(func() {
				out := make(chan int)
				go func() {
					grow(10+w, out)
					close(out)
				}()
				for v := range out {
					mu.Lock()
					counts[fmt.Sprint("worker", w, "depth", v)] += v
					mu.Unlock()
				}
			})
		}
		ticks := 0
		tick := time.NewTicker(200 * time.Microsecond)
		timeout := time.After(2 * time.Millisecond)
	wait:
		for {
			select {
			case <-tick.C:
				ticks++
			case <-timeout:
				break wait
			}
		}
		tick.Stop()
		wg.Wait()
		d := dive(200, func() { time.Sleep(100 * time.Microsecond) })
		if round%5 == 0 {
			runtime.GC()
		}
		fmt.Println("round", round, d, grow(6, make(chan int, 100)).sum(), nilMap())
	}
	var keys []string
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		fmt.Println(k, counts[k])
	}
}

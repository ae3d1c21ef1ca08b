package main

import (
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// tight has no calls, and locals of all types.
func tight(n int) (uint32, uint64, float32, float64) {
	a, b, c, d := uint32(1), uint64(2), float32(3), 4.0
	e, f, g, h := int32(5), int64(6), float32(7), 8.0
	for k := range n {
		a = a*1664525 + 1013904223
		b = b*6364136223846793005 + uint64(a)
		c = c*0.75 + float32(a>>20)
		d = d*0.5 + float64(b>>40)
		if k%7 == 0 {
			e ^= int32(a)
			g += c / 1024
		} else if k%5 == 0 {
			f += int64(e)
			h = h/2 + d
		}
	}
	return a ^ uint32(e), b ^ uint64(f), c + g, d + h
}

type list struct {
	next *list
	data []byte
	tags map[string]int
}

func garbage(rnd *rand.Rand, n int) int {
	var keep [64]*list
	sum := 0
	for k := range n {
		l := &list{data: make([]byte, rnd.IntN(500)), tags: map[string]int{strconv.Itoa(k): k}}
		at := rnd.IntN(len(keep))
		if l.next = keep[at]; l.next != nil && k%3 == 0 {
			l.next = l.next.next // pointer writes while the collector runs
		}
		keep[at] = l
		for range 3 {
			l = l.next
			if l == nil {
				break
			}
			sum += len(l.data) + len(l.tags)
		}
	}
	return sum
}

func mandel(size int) (inside int) {
	for y := range size {
		for x := range size {
			var zr, zi float64
			cr, ci := float64(x)/float64(size)*3-2, float64(y)/float64(size)*2-1
			k := 0
			for ; k < 50 && zr*zr+zi*zi < 4; k++ {
				zr, zi = zr*zr-zi*zi+cr, 2*zr*zi+ci
			}
			inside += k
		}
	}
	return inside
}

// crunch computes, without calls of its host but for what the runtime
// does, things that use many kinds of registers and much garbage, and prints
// the results.
func crunch() {
	rounds, _ := strconv.Atoi(os.Args[1])
	var mu sync.Mutex
	var lines []string
	var wg sync.WaitGroup
	for w := range 4 {
		rnd := rand.New(rand.NewPCG(uint64(w), 1))
		wg.Go(func() {
			for round := range rounds {
				var what string
				switch (w + round) % 4 {
				case 0:
					what = fmt.Sprint(tight(400000))
				case 1:
					what = fmt.Sprint("garbage ", garbage(rnd, 8000))
				case 2:
					what = fmt.Sprint("mandel ", mandel(60))
				case 3:
					text := strings.Repeat(fmt.Sprint("a", round, "b"), 2000)
					sum := sha256.Sum256([]byte(text))
					words := strings.Split(text, "a")
					sort.Strings(words)
					n := len(regexp.MustCompile(`[0-9]+b`).FindAllString(text, -1))
					what = fmt.Sprintf("text %x %d %d %.6f", sum[:4], len(words), n, math.Sin(float64(round)))
				}
				mu.Lock()
				lines = append(lines, fmt.Sprint(w, " ", round, " ", what))
				mu.Unlock()
				if round%3 == 0 {
					runtime.GC()
				}
			}
		})
	}
	wg.Wait()
	sort.Strings(lines)
	fmt.Println(strings.Join(lines, "\n"))
}

package model

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// A search goes through all worlds that a plan can lead to, those with the
// fewest steps first. A world that it has seen is known by a hash of 64 bits: in
// a million worlds two share one with a probability of 3e-8.
type search struct {
	plan  *plan
	seed  maphash.Seed
	seen  map[uint64]int32
	came  []origin // how each world was first reached
	edges []edge   // without the faults, which need not come
	rests []int32  // worlds in which nothing more happens
	buf   []byte
}

type origin struct {
	from int32
	step step
}

type edge struct{ from, to int32 }

// A finding is a world that breaks a promise, and how to come there.
type finding struct {
	flaw   flaw
	states int
	trace  string
}

// explore returns what is wrong, and how many worlds there are, or were until
// then.
func (p *plan) explore(limit int) finding {
	s := &search{plan: p, seed: maphash.MakeSeed(), seen: map[uint64]int32{}}
	first := p.begin()
	if first.flaw != fine {
		return finding{flaw: first.flaw, trace: "at the beginning"}
	}
	s.add(&first, origin{from: -1})
	layer, next := [][]byte{slices.Clone(s.buf)}, [][]byte(nil)
	number := int32(0) // of the world that is looked at
	var w, succ world
	var steps []step
	for len(layer) > 0 {
		for _, packed := range layer {
			w.unpack(packed)
			moving := false
			steps = p.appendSteps(steps[:0], &w)
			for _, x := range steps {
				succ = w
				p.apply(&succ, x)
				to, isNew := s.add(&succ, origin{number, x})
				if succ.flaw != fine {
					return s.found(succ.flaw, to)
				}
				if x.do != strikes {
					moving = true
					s.edges = append(s.edges, edge{number, to})
				}
				if isNew {
					next = append(next, slices.Clone(s.buf))
				}
			}
			if !moving {
				s.rests = append(s.rests, number)
				p.checkRest(&w)
				if w.flaw != fine {
					return s.found(w.flaw, number)
				}
			}
			number++
			if limit > 0 && len(s.came) > limit {
				return finding{flaw: tooMuch, states: len(s.came), trace: fmt.Sprintf("more than %d worlds", limit)}
			}
		}
		layer, next = next, layer[:0]
	}
	if restless := s.restless(); restless >= 0 {
		return s.found(neverSettle, restless)
	}
	if n := s.onCycle(); p.finite && n >= 0 {
		return s.found(goesOn, n)
	}
	return finding{states: len(s.came)}
}

// add notes a world, and leaves it packed in s.buf.
func (s *search) add(w *world, o origin) (number int32, isNew bool) {
	s.buf = w.pack(s.buf[:0])
	h := maphash.Bytes(s.seed, s.buf)
	if n, ok := s.seen[h]; ok {
		return n, false
	}
	n := int32(len(s.came))
	s.seen[h] = n
	s.came = append(s.came, o)
	return n, true
}

// restless returns a world from which no way leads to rest, or -1.
func (s *search) restless() int32 {
	start := make([]int32, len(s.came)+1) // of those that lead to a world
	for _, e := range s.edges {
		start[e.to+1]++
	}
	for i := range s.came {
		start[i+1] += start[i]
	}
	from, fill := make([]int32, len(s.edges)), slices.Clone(start)
	for _, e := range s.edges {
		from[fill[e.to]] = e.from
		fill[e.to]++
	}
	calm := make([]bool, len(s.came))
	todo := slices.Clone(s.rests)
	for _, n := range todo {
		calm[n] = true
	}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, f := range from[start[n]:start[n+1]] {
			if !calm[f] {
				calm[f] = true
				todo = append(todo, f)
			}
		}
	}
	return int32(slices.Index(calm, false))
}

// onCycle returns a world that comes again, or follows such a one, or -1.
func (s *search) onCycle() int32 {
	start, before := make([]int32, len(s.came)+1), make([]int32, len(s.came))
	for _, e := range s.edges {
		start[e.from+1]++
		before[e.to]++
	}
	for i := range s.came {
		start[i+1] += start[i]
	}
	to, fill := make([]int32, len(s.edges)), slices.Clone(start)
	for _, e := range s.edges {
		to[fill[e.from]] = e.to
		fill[e.from]++
	}
	var todo []int32
	for n, b := range before {
		if b == 0 {
			todo = append(todo, int32(n))
		}
	}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		before[n] = -1
		for _, o := range to[start[n]:start[n+1]] {
			if before[o]--; before[o] == 0 {
				todo = append(todo, o)
			}
		}
	}
	return int32(slices.IndexFunc(before, func(b int32) bool { return b > 0 }))
}

// found writes down the way to a world.
func (s *search) found(f flaw, number int32) finding {
	var way []step
	for n := number; s.came[n].from >= 0; n = s.came[n].from {
		way = append(way, s.came[n].step)
	}
	slices.Reverse(way)
	var trace strings.Builder
	w := s.plan.begin()
	for i, x := range way {
		fmt.Fprintf(&trace, "%3d  %s\n", i+1, s.plan.describe(&w, x))
		s.plan.apply(&w, x)
	}
	fmt.Fprintf(&trace, "     => %v", f)
	return finding{f, len(s.came), trace.String()}
}

const words = int(unsafe.Sizeof(world{})) / 8

// words returns the world as it lies in memory. It is made of bytes alone: no
// pointers, no padding.
func (w *world) words() *[words]uint64 { return (*[words]uint64)(unsafe.Pointer(w)) }

// pack appends w to dst: for each eight words which of them are not zero, and
// those.
func (w *world) pack(dst []byte) []byte {
	all := w.words()
	for i := 0; i < words; i += 8 {
		mask := len(dst)
		dst = append(dst, 0)
		for j, x := range all[i:min(i+8, words)] {
			if x != 0 {
				dst[mask] |= 1 << j
				dst = append(dst, byte(x), byte(x>>8), byte(x>>16), byte(x>>24), byte(x>>32), byte(x>>40), byte(x>>48), byte(x>>56))
			}
		}
	}
	return dst
}

func (w *world) unpack(b []byte) {
	*w = world{}
	all := w.words()
	for i := 0; i < words; i += 8 {
		mask := b[0]
		b = b[1:]
		for j := range 8 {
			if mask&(1<<j) != 0 {
				all[i+j] = uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
					uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
				b = b[8:]
			}
		}
	}
}

// holds fails the test if a promise is broken anywhere in the plan's worlds.
func (p *plan) holds(t *testing.T) {
	t.Helper()
	if p.channels == 0 {
		p.channels = 1
	}
	start := time.Now()
	f := p.explore(limit)
	if limit > 0 && f.flaw == tooMuch {
		t.Logf("the first %d states only, because of -race", f.states)
		return
	}
	t.Logf("%d states in %v", f.states, time.Since(start).Round(time.Millisecond))
	if f.flaw != fine {
		t.Errorf("%v:\n%s", f.flaw, f.trace)
	}
}

package network_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dstackless/dstackless/channel/network"
)

// A deed is what becomes of a frame and of its stream.
type deed uint8

const (
	pass   deed = iota
	lose        // the frame is not delivered, and the stream ends
	part        // the stream ends behind the frame
	linger      // the stream ends, and the frame is delivered after that
)

// A doom is a deed in its circumstances.
type doom struct {
	deed        deed
	time        time.Duration // until the frame passes
	here, there time.Duration // until the peer that accepted the stream notices its end, and the other
}

// steps are the kinds of frame at which something may happen.
var steps = []struct {
	name string
	kind byte
}{
	{"hello", byte(network.Hello)}, {"send", byte(network.Send)}, {"queued", byte(network.Queued)},
	{"receive", byte(network.Receive)}, {"withdraw", byte(network.Withdraw)}, {"match", byte(network.Match)},
	{"match result", byte(network.MatchResult)}, {"deliver", byte(network.Deliver)}, {"accept", byte(network.Accept)},
	{"refuse", byte(network.Refuse)}, {"leave", byte(network.Goodbye)},
}

// weather is what happens on the links of a stage. A seed decides over how
// often, and at which steps of the protocol.
type weather struct {
	mu      sync.Mutex
	r       *rand.Rand
	at      map[byte]int // in a thousand frames of this kind something happens
	crashes int          // in a hundred times of that it is a crash
	slow    int          // in a thousand frames of any kind one is late
	left    int          // so many deeds are left
	severed [][2]int     // links on which no stream can be opened, for a while
	apart   [][2]int     // and those on which none can be until unite
	streams map[*tap]struct{}
	fell    func(at int) // has a peer crash, soon
}

func newWeather(r *rand.Rand) *weather {
	w := &weather{r: r, at: map[byte]int{}, streams: map[*tap]struct{}{}}
	if r.IntN(8) == 0 {
		return w // fair
	}
	w.left = 4 + r.IntN(16)
	if r.IntN(4) == 0 { // what they have for each other goes by way of the home
		w.apart = [][2]int{{1, 2}, {2, 1}}
	}
	if r.IntN(3) == 0 {
		w.crashes = 10
	}
	if r.IntN(2) == 0 {
		w.slow = 20
	}
	// Some steps, often: a fault that needs two others before it is met.
	for range 1 + r.IntN(3) {
		w.at[steps[r.IntN(len(steps))].kind] = 20 + r.IntN(200)
	}
	if r.IntN(2) == 0 {
		w.at[byte(network.Accept)] = 50 + r.IntN(300)
	}
	return w
}

func (w *weather) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var at []string
	for _, s := range steps {
		if n := w.at[s.kind]; n > 0 {
			at = append(at, fmt.Sprintf("%s %d‰", s.name, n))
		}
	}
	if len(at) == 0 {
		return "fair"
	}
	if len(w.apart) > 0 {
		at = append(at, "1 and 2 apart")
	}
	return fmt.Sprintf("cuts at %s, crashes %d%%, slow %d‰", strings.Join(at, ", "), w.crashes, w.slow)
}

// judge says what becomes of a frame.
func (w *weather) judge(link [2]int, kind byte) doom {
	w.mu.Lock()
	defer w.mu.Unlock()
	var d doom
	if w.r.IntN(1000) < w.slow {
		d.time = time.Duration(w.r.IntN(4000)) * time.Microsecond
	}
	if w.left == 0 || w.r.IntN(1000) >= w.at[kind] {
		return d
	}
	w.left--
	d.deed = []deed{lose, lose, part, linger}[w.r.IntN(4)]
	if d.deed == part {
		d.time = 20 * time.Millisecond
	}
	late := time.Duration(5+w.r.IntN(50)) * time.Millisecond
	switch w.r.IntN(4) {
	case 0:
		d.here = late
	case 1:
		d.there = late
	}
	if d.deed == linger {
		d.time, d.here, d.there = late, 0, 0
	}
	if w.r.IntN(100) < w.crashes {
		d.deed = lose
		w.fell(link[w.r.IntN(2)])
	}
	return d
}

// clear ends everything but what is under way.
func (w *weather) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left, w.slow, w.severed, w.apart = 0, 0, nil, nil
}

// sever ends the streams between two peers, and has no new one opened until
// heal.
func (w *weather) sever(a, b int) {
	w.mu.Lock()
	w.severed = append(w.severed, [2]int{a, b}, [2]int{b, a})
	var cut []*tap
	for t := range w.streams {
		if slices.Contains(w.severed, t.link) {
			cut = append(cut, t)
		}
	}
	w.mu.Unlock()
	for _, t := range cut {
		t.Reset()
	}
}

func (w *weather) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.severed = nil
}

// unite lets all peers reach each other.
func (w *weather) unite() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.apart = nil
}

// add notes a stream, and ends it if its link is severed.
func (w *weather) add(t *tap) {
	w.mu.Lock()
	w.streams[t] = struct{}{}
	severed := slices.Contains(w.severed, t.link) || slices.Contains(w.apart, t.link)
	w.mu.Unlock()
	if severed {
		t.Reset()
	}
}

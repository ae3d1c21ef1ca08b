package network_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/dstackless/dstackless/channel"
)

// A value names itself: which sender sent it, and as its how manieth.
type value struct{ Sender, Seq int }

func (v value) String() string { return fmt.Sprintf("%d.%d", v.Sender, v.Seq) }

// A history is what senders and receivers did on a channel.
type history struct {
	mu       sync.Mutex
	sent     map[value]error
	received map[int][]value // by receiver, in its order
}

func newHistory() *history {
	return &history{sent: map[value]error{}, received: map[int][]value{}}
}

func (h *history) send(v value, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent[v] = err
}

func (h *history) receive(receiver int, v value) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.received[receiver] = append(h.received[receiver], v)
}

// violations checks the rules of channels and returns what breaks them.
func (h *history) violations() (bad []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	count := map[value]int{}
	for receiver, values := range h.received {
		last := map[int]int{}
		for _, v := range values {
			count[v]++
			if _, ok := h.sent[v]; !ok {
				bad = append(bad, fmt.Sprintf("%v was received and nobody sent it", v))
			}
			if before, ok := last[v.Sender]; ok && v.Seq <= before {
				bad = append(bad, fmt.Sprintf("receiver %d got %v after %d.%d", receiver, v, v.Sender, before))
			}
			last[v.Sender] = v.Seq
		}
	}
	for v, err := range h.sent {
		switch n := count[v]; {
		case n > 1:
			bad = append(bad, fmt.Sprintf("%v was received %d times (sent with %v)", v, n, err))
		case err == nil && n == 0:
			bad = append(bad, fmt.Sprintf("%v was sent and is lost", v))
		case err != nil && !errors.Is(err, channel.ErrInDoubt) && n > 0:
			bad = append(bad, fmt.Sprintf("%v was received and its send failed: %v", v, err))
		}
	}
	slices.Sort(bad)
	return bad
}

func (h *history) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var good, doubt, failed, received int
	for _, err := range h.sent {
		switch {
		case err == nil:
			good++
		case errors.Is(err, channel.ErrInDoubt):
			doubt++
		default:
			failed++
		}
	}
	for _, values := range h.received {
		received += len(values)
	}
	return fmt.Sprintf("%d sent, %d in doubt, %d failed, %d received", good, doubt, failed, received)
}

// The checker finds what is wrong with a history, and nothing in a good one.
func TestViolations(t *testing.T) {
	doubt := fmt.Errorf("send: %w", &channel.InDoubtError{Peer: "p"})
	failed := errors.New("failed")
	a1, a2, b1 := value{1, 1}, value{1, 2}, value{2, 1}
	for _, test := range []struct {
		name     string
		sent     map[value]error
		received map[int][]value
		want     []string
	}{
		{"good", map[value]error{a1: nil, a2: nil, b1: nil}, map[int][]value{1: {a1, b1, a2}}, nil},
		{"order between receivers", map[value]error{a1: nil, a2: nil}, map[int][]value{1: {a2}, 2: {a1}}, nil},
		{"failed", map[value]error{a1: failed}, nil, nil},
		{"in doubt and received", map[value]error{a1: doubt}, map[int][]value{1: {a1}}, nil},
		{"in doubt and not received", map[value]error{a1: doubt}, nil, nil},
		{"lost", map[value]error{a1: nil, a2: nil}, map[int][]value{1: {a1}}, []string{"1.2 was sent and is lost"}},
		{"double", map[value]error{a1: nil}, map[int][]value{1: {a1}, 2: {a1}}, []string{"1.1 was received 2 times (sent with <nil>)"}},
		{"double at one receiver", map[value]error{a1: nil}, map[int][]value{1: {a1, a1}},
			[]string{"1.1 was received 2 times (sent with <nil>)", "receiver 1 got 1.1 after 1.1"}},
		{"in doubt and double", map[value]error{a1: doubt}, map[int][]value{1: {a1}, 2: {a1}},
			[]string{"1.1 was received 2 times (sent with send: in doubt: peer p was lost while it took the value)"}},
		{"failed and received", map[value]error{a1: failed}, map[int][]value{1: {a1}}, []string{"1.1 was received and its send failed: failed"}},
		{"reordered", map[value]error{a1: nil, a2: nil, b1: nil}, map[int][]value{1: {a2, b1, a1}}, []string{"receiver 1 got 1.1 after 1.2"}},
		{"out of nowhere", nil, map[int][]value{1: {a1}}, []string{"1.1 was received and nobody sent it"}},
	} {
		h := newHistory()
		for v, err := range test.sent {
			h.send(v, err)
		}
		for r, values := range test.received {
			for _, v := range values {
				h.receive(r, v)
			}
		}
		if got := h.violations(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

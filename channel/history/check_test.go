package history_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type call = history.Call[string]

// at is a moment of a made up history.
func at(n int) time.Time { return time.Unix(1000, 0).Add(time.Duration(n) * time.Millisecond) }

func sent(who, v string, from, to int, err error) call {
	return call{Kind: history.Send, Who: who, Value: v, Start: at(from), End: at(to), Err: err, Unbound: true}
}

func received(who, v string, from, to int) call {
	return call{Kind: history.Receive, Who: who, Value: v, Start: at(from), End: at(to), Unbound: true}
}

// The checker finds what is wrong with a history, and nothing in a good one.
func TestViolations(t *testing.T) {
	doubt := fmt.Errorf("send: %w", &channel.InDoubtError{Peer: "p"})
	failed := errors.New("failed")
	cancelled := fmt.Errorf("send: %w", context.Canceled)
	running := sent("a", "a1", 0, 0, nil)
	running.End = time.Time{}
	ended := func(c call, when int) call {
		c.Unbound = false
		if when >= 0 {
			c.Ended = at(when)
		}
		return c
	}
	for _, test := range []struct {
		name  string
		calls []call
		want  []string // the rule, and how its text begins
	}{
		{"nothing", nil, nil},
		{"good", []call{sent("a", "a1", 0, 2, nil), received("r", "a1", 1, 3)}, nil},
		{"order between receivers", []call{
			sent("a", "a1", 0, 9, nil), sent("a", "a2", 1, 9, nil), received("r", "a2", 2, 3), received("q", "a1", 4, 5)}, nil},
		{"order between senders", []call{
			sent("a", "a1", 0, 9, nil), sent("b", "b1", 1, 9, nil), received("r", "b1", 2, 3), received("r", "a1", 4, 5)}, nil},
		{"failed", []call{sent("a", "a1", 0, 1, failed)}, nil},
		{"in doubt and received", []call{sent("a", "a1", 0, 1, doubt), received("r", "a1", 0, 2)}, nil},
		{"in doubt and received later", []call{sent("a", "a1", 0, 1, doubt), received("r", "a1", 5, 6)}, nil},
		{"in doubt and not received", []call{sent("a", "a1", 0, 1, doubt)}, nil},
		{"running", []call{running}, nil},
		{"running and received", []call{running, received("r", "a1", 5, 6)}, nil},
		{"sent again", []call{sent("a", "a1", 0, 1, failed), sent("a", "a1", 2, 4, nil), received("r", "a1", 3, 5)}, nil},
		{"sent again in order", []call{
			sent("a", "a1", 0, 1, failed), sent("a", "a2", 1, 9, nil), sent("a", "a1", 2, 9, nil),
			received("r", "a2", 3, 4), received("r", "a1", 5, 6)}, nil},
		{"a context that ended", []call{ended(sent("a", "a1", 0, 3, cancelled), 1)}, nil},

		{"lost", []call{sent("a", "a1", 0, 1, nil)}, []string{"1: lost: send of a1 by a"}},
		{"double", []call{sent("a", "a1", 0, 9, nil), received("r", "a1", 1, 2), received("q", "a1", 3, 4)},
			[]string{"1: received twice: send of a1 by a"}},
		{"double at one receiver", []call{sent("a", "a1", 0, 9, nil), received("r", "a1", 1, 2), received("r", "a1", 3, 4)},
			[]string{"1: received twice: send of a1 by a"}},
		{"in doubt and double", []call{sent("a", "a1", 0, 9, doubt), received("r", "a1", 1, 2), received("q", "a1", 3, 4)},
			[]string{"2: received twice: send of a1 by a"}},
		{"failed and received", []call{sent("a", "a1", 0, 1, failed), received("r", "a1", 1, 2)},
			[]string{"2: received without having been sent: send of a1 by a"}},
		{"failed, received, and sent again", []call{
			sent("a", "a1", 0, 1, failed), received("r", "a1", 0, 2), sent("a", "a1", 3, 9, nil), received("r", "a1", 4, 5)},
			[]string{"0: received too early: a receive of a1 by r", "1: received twice"}},
		{"out of nowhere", []call{received("r", "a1", 1, 2)}, []string{"2: out of nowhere: nobody sent a1"}},
		{"reordered", []call{
			sent("a", "a1", 0, 9, nil), sent("a", "a2", 1, 9, nil), sent("b", "b1", 1, 9, nil),
			received("r", "a2", 2, 3), received("r", "b1", 3, 4), received("r", "a1", 4, 5)},
			[]string{"3: out of order: r received a1 after a2, which a sent later"}},
		{"in doubt and overtaken", []call{
			sent("a", "a1", 0, 1, doubt), sent("a", "a2", 2, 9, nil), received("r", "a2", 2, 3), received("r", "a1", 4, 5)},
			[]string{"3: out of order: r received a1 after a2"}},
		{"received before it was sent", []call{received("r", "a1", 0, 1), sent("a", "a1", 2, 3, nil)},
			[]string{"0: received too early: a receive of a1 by r"}},
		{"sent before anyone received", []call{sent("a", "a1", 0, 1, nil), received("r", "a1", 2, 3)},
			[]string{"0: sent too early: a send of a1 by a"}},
		{"a context that did not end", []call{ended(sent("a", "a1", 0, 1, cancelled), -1)},
			[]string{"4: withdrawn: send of a1 by a"}},
		{"long after the end of its context", []call{ended(sent("a", "a1", 0, 60_000, cancelled), 1)},
			[]string{"4: late: send of a1 by a"}},
	} {
		var h history.History[string]
		for _, c := range test.calls {
			h.Add(c)
		}
		got := h.Violations()
		if len(got) != len(test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
			continue
		}
		for i, v := range got {
			if !strings.HasPrefix(v.String(), "rule "+test.want[i]) {
				t.Errorf("%s: %q, want %q", test.name, got, test.want)
			}
		}
	}
}

package network_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/history"
)

// A handover is the state of a channel as a sequential machine: a send hands its
// value over, and what happens next is that a receive takes it.
type handover struct {
	busy   bool         // a value was handed over, and its receive is yet to happen
	handed value        // which one
	last   map[line]int // what came last from each sender to each receiver
}

type line struct{ from, to string }

// A step is something that happens: a call, or nothing at all, for time to pass.
type step struct {
	kind  history.Kind // 0: time passes
	line  line         // of a receive
	place int          // of the value that is received among those of its sender
	v     value
}

// rendezvous is the model. Time passes only when nothing is under way, so a send
// and its receive happen at one moment, which both of their calls include.
var rendezvous = porcupine.Model{
	Init: func() any { return handover{} },
	Step: func(state, input, _ any) (bool, any) {
		s, in := state.(handover), input.(step)
		switch in.kind {
		case 0:
			return !s.busy, s
		case history.Send:
			return !s.busy, handover{true, in.v, s.last}
		}
		if before, ok := s.last[in.line]; !s.busy || s.handed != in.v || ok && before > in.place {
			return false, s
		}
		next := handover{last: maps.Clone(s.last)}
		if next.last == nil {
			next.last = map[line]int{}
		}
		next.last[in.line] = in.place
		return true, next
	},
	Equal: func(a, b any) bool {
		s, t := a.(handover), b.(handover)
		return s.busy == t.busy && s.handed == t.handed && maps.Equal(s.last, t.last)
	},
}

// linearizable reports whether the calls could have happened one after the
// other, in an order that agrees with their times. The values must be different.
func linearizable(calls []history.Call[value]) porcupine.CheckResult {
	var times []time.Time
	got, from, place := map[value]bool{}, map[value]string{}, map[value]int{}
	for i, c := range calls {
		times = append(times, c.Start, c.End)
		if c.Kind == history.Send {
			from[c.Value], place[c.Value] = c.Who, i
		} else if c.Err == nil {
			got[c.Value] = true
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	at := func(t time.Time) int64 { return 2 * int64(t.Sub(times[0])) }
	var ops []porcupine.Operation
	for i, t := range times {
		passes := at(t) + 1
		if i+1 < len(times) && times[i+1].Equal(t) {
			continue
		}
		ops = append(ops, porcupine.Operation{Call: passes, Return: passes, Input: step{}})
	}
	for _, c := range calls {
		op := porcupine.Operation{
			Call: at(c.Start), Return: at(c.End),
			Input: step{c.Kind, line{from[c.Value], c.Who}, place[c.Value], c.Value},
		}
		switch {
		case c.Kind == history.Send && errors.Is(c.Err, channel.ErrInDoubt):
			// It may have happened, now or later; the receives tell whether.
			if !got[c.Value] {
				continue
			}
			op.Return = at(times[len(times)-1])
		case c.Err != nil:
			continue // nothing happened
		}
		ops = append(ops, op)
	}
	return porcupine.CheckOperationsTimeout(rendezvous, ops, 5*time.Second)
}

// The checker of histories and the model agree, on histories that are right and
// on such that have been made wrong.
func TestCheckerAgreesWithModel(t *testing.T) {
	verdicts := map[bool]int{}
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 3))
		calls := invent(r)
		if r.IntN(3) > 0 {
			spoil(r, calls)
		}
		var h history.History[value]
		for _, c := range calls {
			h.Add(c)
		}
		bad := h.Violations()
		if good := linearizable(h.Calls()) == porcupine.Ok; good != (bad == nil) {
			t.Errorf("seed %d: linearizable: %v, and %q:%s", seed, good, bad, story(&h))
		} else {
			verdicts[good]++
		}
	}
	t.Logf("%d right, %d wrong", verdicts[true], verdicts[false])
	if verdicts[true] < 200 || verdicts[false] < 200 {
		t.Error("too few of one kind to tell")
	}
}

// invent makes a history of a few senders and receivers that is right.
func invent(r *rand.Rand) (calls []history.Call[value]) {
	now := time.Unix(1000, 0)
	tick := func() time.Time {
		now = now.Add(time.Duration(1+r.IntN(1000)) * time.Microsecond)
		return now
	}
	type caller struct {
		who string
		seq int
		on  int // index of the call that runs, or -1
	}
	var senders, receivers []*caller
	for i := range 3 {
		senders = append(senders, &caller{fmt.Sprint("sender ", i), 0, -1})
		receivers = append(receivers, &caller{fmt.Sprint("receiver ", i), 0, -1})
	}
	begin := func(l *caller, c history.Call[value]) {
		c.Who, c.Start, c.Unbound = l.who, tick(), true
		l.on, calls = len(calls), append(calls, c)
	}
	end := func(l *caller, err error) {
		calls[l.on].End, calls[l.on].Err, l.on = tick(), err, -1
	}
	for range 12 {
		i := r.IntN(3)
		s, to := senders[i], receivers[r.IntN(3)]
		for _, l := range []struct {
			*caller
			c history.Call[value]
		}{{s, history.Call[value]{Kind: history.Send, Value: value{i + 1, s.seq}}}, {to, history.Call[value]{Kind: history.Receive}}} {
			if l.on < 0 {
				begin(l.caller, l.c)
			}
		}
		switch v := calls[s.on].Value; r.IntN(6) {
		case 0:
			end(s, errors.New("withdrawn"))
		case 1:
			end(s, channel.ErrInDoubt)
			if r.IntN(2) == 0 {
				calls[to.on].Value = v
				end(to, nil)
			}
		case 2:
			end(to, errors.New("withdrawn"))
			continue
		default:
			calls[to.on].Value = v
			if r.IntN(2) == 0 {
				end(s, nil)
				end(to, nil)
			} else {
				end(to, nil)
				end(s, nil)
			}
		}
		s.seq++
	}
	for _, l := range append(senders, receivers...) {
		if l.on >= 0 {
			end(l, errors.New("withdrawn"))
		}
	}
	return calls
}

// spoil changes something about one of the calls.
func spoil(r *rand.Rand, calls []history.Call[value]) {
	c := &calls[r.IntN(len(calls))]
	d := &calls[r.IntN(len(calls))]
	switch r.IntN(4) {
	case 0:
		c.Err = errors.New("failed")
	case 1:
		c.Err = nil
	case 2:
		if c.Kind == d.Kind {
			c.Value, d.Value = d.Value, c.Value
		}
	case 3:
		took := c.End.Sub(c.Start)
		c.Start = d.End
		c.End = c.Start.Add(took)
	}
}

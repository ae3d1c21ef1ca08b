package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// A Violation is what breaks a rule.
type Violation struct {
	Rule int // see the rules in the package's documentation
	Text string
}

func (v Violation) String() string { return fmt.Sprintf("rule %d: %s", v.Rule, v.Text) }

const defaultPatience = 10 * time.Second

// Violations returns what is wrong with the history so far, by rule. Ask when
// no call runs any more: of one that does, the outcome is not known.
func (h *History[V]) Violations() []Violation {
	ch := checker[V]{sends: map[V][]*send[V]{}, received: map[V][]*Call[V]{}}
	if ch.patience = h.Patience; ch.patience == 0 {
		ch.patience = defaultPatience
	}
	calls := h.Calls()
	sent := map[string]int{}
	for i := range calls {
		switch c := &calls[i]; {
		case c.Kind == Send:
			sent[c.Who]++
			ch.sends[c.Value] = append(ch.sends[c.Value], &send[V]{c, sent[c.Who]})
		case c.Kind == Receive && c.Err == nil && !c.End.IsZero():
			ch.received[c.Value] = append(ch.received[c.Value], c)
		}
	}
	ch.count()
	ch.overlap()
	ch.order(calls)
	ch.withdrawal(calls)
	slices.SortFunc(ch.bad, func(a, b Violation) int { return cmp.Or(a.Rule-b.Rule, strings.Compare(a.Text, b.Text)) })
	return ch.bad
}

// A send is one with its place among those of its goroutine.
type send[V comparable] struct {
	*Call[V]
	place int
}

// sure reports whether the value is known to have been received.
func (s *send[V]) sure() bool { return !s.End.IsZero() && s.Err == nil }

// possible reports whether the value may have been received. A value may be sent
// again after an attempt that failed, as in a loop around a Select.
func (s *send[V]) possible() bool {
	return s.End.IsZero() || s.Err == nil || errors.Is(s.Err, channel.ErrInDoubt)
}

type checker[V comparable] struct {
	patience time.Duration
	sends    map[V][]*send[V]
	received map[V][]*Call[V]
	bad      []Violation
}

func (ch *checker[V]) report(rule int, format string, args ...any) {
	ch.bad = append(ch.bad, Violation{rule, fmt.Sprintf(format, args...)})
}

// count checks rules 1 and 2.
func (ch *checker[V]) count() {
	for v, sends := range ch.sends {
		received := ch.received[v]
		var least, most int
		for _, s := range sends {
			if s.sure() {
				least++
			}
			if s.possible() {
				most++
			}
		}
		rule := 1
		if least == 0 {
			rule = 2
		}
		switch n := len(received); {
		case n < least:
			ch.report(rule, "lost: %v; nobody received it", sends[len(sends)-1])
		case n > most && most == 0:
			ch.report(rule, "received without having been sent: %v; there is a %v", sends[len(sends)-1], received[0])
		case n > most:
			ch.report(rule, "received twice: %v; there are a %v, and a %v", sends[len(sends)-1], received[0], received[n-1])
		}
	}
	for v, received := range ch.received {
		if ch.sends[v] == nil {
			ch.report(2, "out of nowhere: nobody sent %v; there is a %v", v, received[0])
		}
	}
}

// overlap checks rule 0.
func (ch *checker[V]) overlap() {
	for v, received := range ch.received {
		for _, r := range received {
			possible, met := 0, false
			var near *send[V]
			for _, s := range ch.sends[v] {
				if !s.possible() {
					continue
				}
				possible, near = possible+1, s
				met = met || !s.Start.After(r.End) && (!s.sure() || !r.Start.After(s.End))
			}
			switch {
			case possible == 0 || met: // of none, rule 2 tells
			case near.Start.After(r.End):
				ch.report(0, "received too early: a %v, %v before the %v", r, near.Start.Sub(r.End), near)
			default:
				ch.report(0, "sent too early: a %v, %v before the %v", near, r.Start.Sub(near.End), r)
			}
		}
	}
}

// order checks rule 3. A value that was sent more than once is taken for the
// earliest that is in order.
func (ch *checker[V]) order(calls []Call[V]) {
	type line struct{ from, to string }
	last := map[line]*send[V]{}
	for i := range calls {
		r := &calls[i]
		if r.Kind != Receive || r.Err != nil || r.End.IsZero() {
			continue
		}
		from := map[string][]*send[V]{}
		for _, s := range ch.sends[r.Value] {
			if s.possible() {
				from[s.Who] = append(from[s.Who], s)
			}
		}
		if len(from) != 1 {
			continue
		}
		for who, sends := range from {
			l := line{who, r.Who}
			before := last[l]
			next := slices.IndexFunc(sends, func(s *send[V]) bool { return before == nil || s.place > before.place })
			switch {
			case next >= 0:
				last[l] = sends[next]
			case before.Value != r.Value: // received twice: rules 1 and 2 tell
				ch.report(3, "out of order: %s received %v after %v, which %s sent later", r.Who, r.Value, before.Value, who)
			}
		}
	}
}

// withdrawal checks rule 4.
func (ch *checker[V]) withdrawal(calls []Call[V]) {
	for i := range calls {
		c := &calls[i]
		if c.Unbound || c.End.IsZero() {
			continue
		}
		var sent *channel.SentError // what it wraps is no outcome of the call
		if c.Err != nil && c.Ended.IsZero() && !errors.As(c.Err, &sent) &&
			(errors.Is(c.Err, context.Canceled) || errors.Is(c.Err, context.DeadlineExceeded)) {
			ch.report(4, "withdrawn: %v, and its context had not ended", c)
		}
		if late := c.End.Sub(c.Ended); !c.Ended.IsZero() && late > ch.patience {
			ch.report(4, "late: %v, %v after its context had ended", c, late)
		}
	}
}

// String counts what is in the history.
func (h *History[V]) String() string {
	var good, doubt, failed, received, running int
	for _, c := range h.Calls() {
		switch {
		case c.End.IsZero():
			running++
		case c.Kind == Receive && c.Err == nil:
			received++
		case c.Kind == Receive:
		case c.Err == nil:
			good++
		case errors.Is(c.Err, channel.ErrInDoubt):
			doubt++
		default:
			failed++
		}
	}
	s := fmt.Sprintf("%d sent, %d in doubt, %d failed, %d received", good, doubt, failed, received)
	if running > 0 {
		s += fmt.Sprintf(", %d still run", running)
	}
	return s
}

package history_test

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel/history"
)

// Calls are recorded with what they were told, and when.
func TestRecord(t *testing.T) {
	var h history.History[int]
	before := time.Now()
	if err := h.Send(t.Context(), "a", 1, func(context.Context, int) error { return nil }); err != nil {
		t.Error(err)
	}
	failed := errors.New("failed")
	v, err := h.Receive(t.Context(), "r", func(context.Context) (int, error) { return 0, failed })
	if v != 0 || err != failed {
		t.Errorf("%d, %v", v, err)
	}
	done := h.Receiving(t.Context(), "q")
	h.Sending(t.Context(), "b", 2)
	done(1, nil)

	calls := h.Calls()
	if len(calls) != 4 {
		t.Fatal(calls)
	}
	for i, want := range []struct {
		kind  history.Kind
		who   string
		value int
		err   error
		done  bool
	}{
		{history.Send, "a", 1, nil, true},
		{history.Receive, "r", 0, failed, true},
		{history.Receive, "q", 1, nil, true},
		{history.Send, "b", 2, nil, false},
	} {
		c := calls[i]
		if c.Kind != want.kind || c.Who != want.who || c.Value != want.value || c.Err != want.err || c.End.IsZero() == want.done {
			t.Errorf("call %d is %v", i, &c)
		}
		if c.Start.Before(before) || want.done && c.End.Before(c.Start) || !c.Ended.IsZero() {
			t.Errorf("call %d from %v to %v, context to %v", i, c.Start, c.End, c.Ended)
		}
	}
	if got := h.String(); got != "1 sent, 0 in doubt, 0 failed, 1 received, 1 still run" {
		t.Error(got)
	}
}

// The end of a context is seen, even if the call returns at once.
func TestEndOfContext(t *testing.T) {
	var h history.History[int]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for v := range 100 {
		h.Send(ctx, "a", v, func(ctx context.Context, v int) error {
			if v == 50 {
				cancel()
			}
			return cmp.Or(ctx.Err(), errors.New("failed"))
		})
	}
	for _, c := range h.Calls() {
		if c.Ended.IsZero() != (c.Value < 50) || c.Ended.After(c.End) {
			t.Errorf("%v ended at %v", &c, c.Ended)
		}
	}
	if bad := h.Violations(); bad != nil {
		t.Error(bad)
	}
}

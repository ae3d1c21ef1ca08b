package tasklet

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A FunctionState is what the continuation of a function tasklet has in place of
// a program's state and memory.
type FunctionState struct {
	Name  string
	Shape string // of the state
	State []byte // gob

	// Received is what it received while it was parked. A peer of an older version
	// knows nothing of it, and refuses the offer, whose size does not fit.
	Received []Received
}

// maxFunction is the size of the largest continuation of a function.
const maxFunction = MaxFunctionState + maxReceived + 2*MaxUnread + smallMessage

// size returns how many bytes of memory it stands for.
func (f *FunctionState) size() uint64 { return uint64(len(f.State)) + receivedSize(f.Received) }

func (f *FunctionState) validate() error {
	if f.Name == "" || len(f.Name) > MaxFunctionName || len(f.Shape) > schemaMaxBytes || len(f.State) > MaxFunctionState {
		return fmt.Errorf("%w: over a limit: function %.40q", ErrContinuation, f.Name)
	}
	return validateReceived(f.Received)
}

// continuation describes a tasklet that stands still.
func (r *routine) continuation() (*Continuation, error) {
	data, err := r.function.encode(r.self.state)
	if err != nil {
		return nil, err
	}
	c := r.outline()
	f := c.Function
	f.State = data
	r.mu.Lock()
	f.Received = slices.Clone(r.self.received)
	r.mu.Unlock()
	if n := receivedSize(f.Received); n > maxReceived {
		return nil, fmt.Errorf("function %q must take what it received first; try it again: %w", f.Name, r.host.exceeds(LimitReceived, maxReceived, n, 0))
	}
	return c, r.reserve(f.size())
}

func (r *routine) snapshot(_ context.Context, as phase) (*checkpointEntry, error) {
	c, err := r.continuation()
	if err != nil {
		return nil, err
	}
	return &checkpointEntry{Standing: as, Cont: *c, Move: r.moveID}, nil
}

// A function's state is in its description.
func (r *routine) approach(context.Context) error { return nil }
func (r *routine) sync(*checkpointEntry) error    { return nil }
func (r *routine) catchUp(time.Duration)          {}
func (r *routine) released()                      {}

func (r *routine) load(_ context.Context, s *checkpointEntry) error { return r.adopt(s.Cont.Function) }

// adopt takes over a function's state.
func (r *routine) adopt(f *FunctionState) error {
	d, err := r.host.defined(f.Name, f.Shape)
	if err != nil {
		return err
	}
	state, err := d.decode(f.State)
	if err != nil {
		return err
	}
	r.function = d
	r.newSelf(state, slices.Clone(f.Received))
	return nil
}

// sendState sends all in one go: the continuation right behind the offer.
func (r *routine) sendState(ctx context.Context, m *outgoingMove) error {
	if err := r.pause(ctx); err != nil {
		return err
	}
	m.paused, m.pausedAt = true, time.Now()
	r.withdraw(false)
	cont, err := r.continuation()
	if err != nil {
		return err
	}
	f := cont.Function
	m.hop.From, m.hop.To = r.host.self, m.to.String()
	m.hop.Bytes = f.size()
	m.hop.New = m.hop.Bytes
	o := m.offer(m.hop.Bytes)
	m.conn.within(stepTimeout)
	if err := m.conn.send(tagOffer, o); err != nil {
		return err
	}
	sent := m.conn.send(tagFrozen, cont) // what a refusal says matters more
	for _, step := range []struct {
		answer tag
		name   string
	}{{tagWelcome, "offer"}, {tagReady, "prepare"}, {tagPrepared, "prepared"}} {
		if _, err := m.conn.expect(step.answer, 0); err != nil {
			return err
		}
		if sent != nil {
			return sent
		}
		r.host.testStep(step.name)
	}
	return nil
}

func (r *routine) receiveState(a *incomingMove) error {
	c := a.conn
	if err := c.send(tagWelcome, nil); err != nil {
		return err
	}
	if err := c.send(tagReady, nil); err != nil {
		return err
	}
	c.within(stepTimeout)
	body, err := c.expect(tagFrozen, maxFunction)
	if err != nil {
		return err
	}
	cont, err := decodeContinuation(body, r.host.opts.Limits.Memory)
	if err != nil {
		return err
	}
	if err := a.checkContinuation(cont); err != nil {
		return err
	}
	if err := r.adopt(cont.Function); err != nil {
		return err
	}
	r.host.testStep("restored")
	if err := a.adoptOutline(cont); err != nil {
		return err
	}
	s := &checkpointEntry{Standing: prepared, Cont: *cont, Move: a.offer.Move, Source: a.from.String()}
	if r.host.disk != nil {
		if err := r.save(s); err != nil {
			return err
		}
	}
	a.markPrepared()
	return c.send(tagPrepared, nil)
}

// keepPartial keeps nothing: there is little to bring again.
func (r *routine) keepPartial(a *incomingMove) {
	r.unload()
	r.release()
	if r.saved != nil && r.host.ctx.Err() == nil { // else the next start goes on asking
		r.host.forget(r.id)
	}
}

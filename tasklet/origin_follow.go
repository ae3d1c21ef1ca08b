package tasklet

import (
	"context"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"github.com/dstackless/dstackless/p2p"
)

// startWatching has the record followed, if it is not.
func (r *originEntry) startWatching() {
	r.mu.Lock()
	first := !r.awake
	r.awake, r.again = true, !first
	r.mu.Unlock()
	if first && r.host.enter() { // a host that is closed follows nothing
		go func() {
			defer r.host.wg.Done()
			r.watch()
		}()
	}
}

// stopWatching ends the following until something happens, unless it has.
func (r *originEntry) stopWatching() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.awake, r.again = r.again, false
	return !r.awake
}

// errQuiet says that there is nothing to be told of a tasklet that is here. What
// happens next starts the watching again.
var errQuiet = errors.New("nothing has happened")

// A tasklet whose host does not answer for so long is looked for in the DHT, and
// again after a pause.
const seekAfter, seekPause = 800 * time.Millisecond, time.Minute

// forwardPause is how often a tasklet is followed from host to host when that has
// happened [maxForwards] times in a row.
const forwardPause = time.Second

// watch collects output and moves until the tasklet has exited, or is here and
// quiet: then it needs no goroutine.
func (r *originEntry) watch() {
	h := r.host
	var sought time.Time
	var forwards *rate.Limiter
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		where := r.at()
		before := r.heard()
		var err error
		if where == h.node.ID() {
			err = r.watchHere()
		} else {
			err = r.watchThere(where)
		}
		if err == errQuiet {
			if r.stopWatching() {
				return
			}
			wait = 50 * time.Millisecond
			continue
		}
		if r.exited() != nil || h.ctx.Err() != nil {
			return
		}
		r.mu.Lock()
		moved := r.where != where
		r.reachable = moved
		r.mu.Unlock()
		if moved || r.heard() > before {
			wait = 50 * time.Millisecond
		}
		if moved {
			// Hosts that send it to each other, or say so, do not keep this peer busy.
			if forwards == nil {
				forwards = rate.NewLimiter(rate.Every(forwardPause), maxForwards)
			}
			if forwards.Wait(h.ctx) != nil {
				return
			}
			continue
		}
		if r.cameBack() {
			continue
		}
		h.log.Debug("host of a tasklet does not answer", "tasklet", r.id, "peer", where, "error", err)
		if wait >= seekAfter && time.Since(sought) > seekPause {
			sought = time.Now()
			if at, err := h.locate(h.ctx, r.id); err == nil && at != where {
				r.located(at)
				continue
			}
		}
		select {
		case <-time.After(wait):
		case <-h.ctx.Done():
			return
		}
	}
}

// cameBack notes that the tasklet has come back here, if it has, because its former
// host does not say so.
func (r *originEntry) cameBack() bool {
	h := r.host
	h.mu.Lock()
	p := h.processes[r.id]
	h.mu.Unlock()
	if p == nil {
		return false
	}
	if _, left := p.status(); left != nil {
		return false
	}
	moves := p.info().Moves
	r.mu.Lock()
	r.moves = moves
	r.mu.Unlock()
	r.located(h.node.ID())
	return true
}

// heard returns the position up to which the output has come.
func (r *originEntry) heard() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position
}

func (r *originEntry) watchHere() error {
	h := r.host
	h.mu.Lock()
	p := h.processes[r.id]
	d, left := h.departed.Peek(r.id)
	h.mu.Unlock()
	if p == nil {
		if left {
			return r.apply(event{Moved: d.forward(h)})
		}
		return ErrNotFound
	}
	p.out.OnChange(r.startWatching)
	from, told := r.seen()
	quiet, err := p.news(&from, &told, func(e event) error {
		err := r.apply(e)
		p.out.Trim(r.heard())
		if e.Exited != nil {
			h.forget(r.id) // this peer's own record says it
		}
		return err
	})
	if quiet {
		return errQuiet
	}
	return err
}

func (r *originEntry) watchThere(where p2p.ID) error {
	h := r.host
	ctx, cancel := context.WithTimeout(h.ctx, stepTimeout)
	defer cancel()
	c, err := h.dial(ctx, where)
	if err != nil {
		return err
	}
	defer c.stream.Reset()
	defer context.AfterFunc(h.ctx, func() { c.stream.Reset() })()
	if err := c.send(tagWatch, &watch{ID: r.id, From: r.heard()}); err != nil {
		return err
	}
	r.seen()
	for {
		var e event
		if err := c.receive(tagEvent, &e); err != nil {
			return err
		}
		if err := r.apply(e); err != nil {
			return err
		}
		if err := c.send(tagHeard, r.heard()); err != nil {
			return err
		}
		if e.Moved != nil || e.Exited != nil {
			return c.stream.CloseWrite()
		}
	}
}

// seen notes that the host answers, and returns what is known.
func (r *originEntry) seen() (heard int64, told State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reachable = true
	if r.suspended {
		return r.position, Suspended
	}
	return r.position, Running
}

package compiler

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// An entry is a program in memory.
type entry struct {
	code  *sandbox.Code
	size  int64          // bytes
	users map[string]int // how many, by the peer that pays
	since time.Time      // that nobody uses it
	timer *time.Timer    // that ends it, if nobody uses it
}

func (e *entry) stopTimer() {
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
}

// A Program is one user's part in a compiled program.
type Program struct {
	compiler   *Compiler
	name, peer string
	entry      *entry
	release    sync.Once
}

// Code returns the code of the program. It is valid until Release.
func (p *Program) Code() *sandbox.Code { return p.entry.code }

// Share returns another user's part, for which the same peer pays.
func (p *Program) Share() *Program {
	p.compiler.mu.Lock()
	defer p.compiler.mu.Unlock()
	p.entry.users[p.peer]++
	return &Program{compiler: p.compiler, name: p.name, peer: p.peer, entry: p.entry}
}

// Release says that this user does not use the program any more. It is idempotent.
func (p *Program) Release() { p.release.Do(func() { p.compiler.disuse(p) }) }

// use returns the program of that name, or nil if it is not in memory.
func (c *Compiler) use(name, peer string) (*Program, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.useLocked(name, peer)
}

func (c *Compiler) useLocked(name, peer string) (*Program, error) {
	e := c.programs[name]
	switch {
	case c.closed:
		return nil, ErrClosed
	case e == nil:
		return nil, nil
	}
	if peer != "" && e.users[peer] == 0 && c.inUse[peer]+e.size > c.opts.OfOnePeer {
		return nil, fmt.Errorf("program %s: %w", name, &LimitError{InUse, peer, uint64(c.opts.OfOnePeer), uint64(c.inUse[peer]), uint64(e.size)})
	}
	if len(e.users) == 0 {
		c.idle -= e.size
		e.stopTimer()
	}
	if e.users[peer]++; e.users[peer] == 1 {
		c.inUse[peer] += e.size
	}
	return &Program{compiler: c, name: name, peer: peer, entry: e}, nil
}

// Info tells of a program in memory.
type Info struct {
	Name  string
	Bytes int64
	Users int
}

// Programs lists the programs that are in memory.
func (c *Compiler) Programs() []Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Info
	for name, e := range c.programs {
		i := Info{Name: name, Bytes: e.size}
		for _, n := range e.users {
			i.Users += n
		}
		all = append(all, i)
	}
	return all
}

// add returns the program of that name, which make makes if it is not in memory.
func (c *Compiler) add(ctx context.Context, name, peer string, make func() (*sandbox.Code, int64, error)) (*Program, error) {
	unlock, err := c.locks.lock(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if p, err := c.use(name, peer); p != nil || err != nil {
		return p, err
	}
	code, size, err := make()
	if err != nil {
		return nil, fmt.Errorf("program %s: %w", name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		code.Close()
		return nil, ErrClosed
	}
	e := &entry{code: code, size: size, users: map[string]int{}}
	c.programs[name] = e
	c.idle += size
	p, err := c.useLocked(name, peer)
	if err != nil {
		c.rest(name, e)
	}
	return p, err
}

// disuse ends one use of a program.
func (c *Compiler) disuse(p *Program) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := p.entry
	if c.closed || c.programs[p.name] != e {
		return
	}
	if e.users[p.peer]--; e.users[p.peer] > 0 {
		return
	}
	delete(e.users, p.peer)
	if c.inUse[p.peer] -= e.size; c.inUse[p.peer] == 0 {
		delete(c.inUse, p.peer)
	}
	if len(e.users) == 0 {
		c.idle += e.size
		c.rest(p.name, e)
	}
}

// rest keeps a program that nobody uses for a while, and not longer than there is
// room for it. The lock is held.
func (c *Compiler) rest(name string, e *entry) {
	e.since = time.Now()
	e.timer = time.AfterFunc(c.opts.IdleTime, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.closed && c.programs[name] == e && len(e.users) == 0 && time.Since(e.since) >= c.opts.IdleTime {
			c.drop(name, e)
		}
	})
	for c.idle > c.opts.IdleBytes {
		name, e := "", (*entry)(nil)
		for n, other := range c.programs {
			if len(other.users) == 0 && (e == nil || other.since.Before(e.since)) {
				name, e = n, other
			}
		}
		c.drop(name, e)
	}
}

// drop frees a program that nobody uses. The lock is held.
func (c *Compiler) drop(name string, e *entry) {
	e.stopTimer()
	delete(c.programs, name)
	c.idle -= e.size
	if err := e.code.Close(); err != nil {
		c.opts.Logger.Warn("a compiled program could not be freed", "program", name, "error", err)
	}
}

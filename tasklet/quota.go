package tasklet

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// Limits bound what tasklets may use of a peer. A tasklet that exceeds one is
// ended with an error that wraps [ErrLimit] and names it; one that would do so by
// coming here is refused.
type Limits struct {
	// Memory is how many bytes of memory each tasklet may have. Default:
	// [DefaultMemoryLimit]. The Go runtime of a program that is started here is
	// told to stay below it (GOMEMLIMIT, see sandbox.Config), and goes by that
	// also at a peer with another limit: with a higher one it collects garbage
	// earlier than it must, with a lower one it may run out of memory.
	Memory uint64

	// CPU is how long a tasklet may compute in all its life, by the host's
	// clock while it does not wait, and rounded up to about a millisecond.
	// What it says that it computed elsewhere counts. Default: no limit.
	CPU time.Duration

	// Output is how many bytes a tasklet may write in all its life. Default:
	// no limit; what is kept is limited, see [MaxOutput].
	Output int64

	// Tasklets is how many tasklets that one other peer started, or brought, may
	// be here, suspended ones and those that come included. Default: 256.
	// Tasklets that were started here do not count.
	Tasklets int

	// Continuations is how many bytes the tasklets that one other peer started, or
	// brought, may make this one hold together, suspended ones and those that come
	// included: memory, requests without reply (8 KiB each, and what they say),
	// replies and output that wait to be read, and logs on disk. Default: 4 GiB.
	// Tasklets that were started here do not count.
	Continuations uint64
}

func (l *Limits) defaults() {
	if l.Memory == 0 {
		l.Memory = DefaultMemoryLimit
	}
	if l.Tasklets == 0 {
		l.Tasklets = 256
	}
	if l.Continuations == 0 {
		l.Continuations = 4 << 30
	}
}

// An account is what the tasklets use that one peer started or brought.
type account struct {
	peer     string
	tasklets atomic.Int64
	bytes    atomic.Int64
	channels atomic.Int64 // of programs
}

// account returns that of a peer. The lock is held.
func (h *Host) account(peer string) *account {
	a := h.accounts[peer]
	if a == nil {
		a = &account{peer: peer}
		h.accounts[peer] = a
	}
	return a
}

// checkQuota reports whether those who would pay for the tasklet of an offer may have
// one more here. The lock is held.
func (h *Host) checkQuota(o *offer, payers []string) error {
	l := h.opts.Limits
	for _, peer := range payers {
		used := h.account(peer)
		if n := used.tasklets.Load(); n >= int64(l.Tasklets) {
			return &LimitError{Limit: LimitTasklets, Peer: h.self, Of: peer, Max: uint64(l.Tasklets), Used: uint64(n), Asked: 1}
		}
		if n := uint64(used.bytes.Load()); n+o.Memory > l.Continuations || n+o.Memory < n {
			return &LimitError{Limit: LimitHeld, Peer: h.self, Of: peer, Max: l.Continuations, Used: n, Asked: o.Memory}
		}
	}
	return nil
}

// charge charges a tasklet to the accounts of those who pay for it. The host's
// lock is held.
func (p *process) charge() {
	p.accounts = nil
	for _, peer := range p.host.payers(p.id, p.origin, p.source) {
		a := p.host.account(peer)
		a.tasklets.Add(1)
		p.accounts = append(p.accounts, a)
	}
}

// A holding is a kind of what a tasklet makes its host hold.
type holding int

const (
	heldMemory   holding = iota // of a program, or the state of a function
	heldRequests                // without reply, and replies that wait to be read
	heldOutput                  // that the peer which started it has not read
	heldLog                     // of its memory, on disk
	holdings
)

// A bill is what a tasklet is charged, in bytes.
type bill struct {
	mu      sync.Mutex
	held    [holdings]int64
	settled bool
}

// hold charges size bytes of a kind in place of what the tasklet had. More is
// refused if that is over the limit of one who pays for it.
func (p *process) hold(kind holding, size uint64) error {
	if len(p.accounts) == 0 {
		return nil
	}
	p.bill.mu.Lock()
	defer p.bill.mu.Unlock()
	if p.bill.settled {
		return nil
	}
	grow := int64(size) - p.bill.held[kind]
	limit := p.host.opts.Limits.Continuations
	for n, a := range p.accounts {
		now := a.bytes.Add(grow)
		if grow <= 0 || uint64(now) <= limit {
			continue
		}
		for _, a := range p.accounts[:n+1] {
			a.bytes.Add(-grow)
		}
		return &LimitError{Limit: LimitHeld, Peer: p.host.self, Of: a.peer, Max: limit, Used: uint64(now - grow), Asked: uint64(grow)}
	}
	p.bill.held[kind] = int64(size)
	return nil
}

// restoreBill charges what a tasklet had here before a restart, whatever the
// limits are now.
func (p *process) restoreBill(held [holdings]int64) {
	p.bill.held = held
	for _, a := range p.accounts {
		for _, n := range held {
			a.bytes.Add(n)
		}
	}
}

// reserve charges a memory of size bytes, if it is more than the tasklet had.
func (p *process) reserve(size uint64) error {
	p.bill.mu.Lock()
	had := p.bill.held[heldMemory]
	p.bill.mu.Unlock()
	if int64(size) <= had {
		return nil
	}
	return p.hold(heldMemory, size)
}

// countChannels counts channels that the program opens, or leaves. More are
// refused if they are over the limit of one who pays for it, or of all programs.
func (p *process) countChannels(n int) error {
	h := p.host
	if all := h.channels.Add(int64(n)); n > 0 && all > maxChannelsOfPrograms {
		h.channels.Add(-int64(n))
		return h.exceeds(LimitAllChannels, maxChannelsOfPrograms, uint64(all)-uint64(n), uint64(n))
	}
	for i, a := range p.accounts {
		of := a.channels.Add(int64(n))
		if n <= 0 || of <= maxChannelsOfPeer {
			continue
		}
		h.channels.Add(-int64(n))
		for _, a := range p.accounts[:i+1] {
			a.channels.Add(-int64(n))
		}
		return &LimitError{Limit: LimitChannels, Peer: h.self, Of: a.peer, Max: maxChannelsOfPeer, Used: uint64(of) - uint64(n), Asked: uint64(n)}
	}
	return nil
}

// release ends what the tasklet is charged. It is idempotent.
func (p *process) release() {
	p.bill.mu.Lock()
	defer p.bill.mu.Unlock()
	if p.bill.settled {
		return
	}
	p.bill.settled = true
	for _, a := range p.accounts {
		a.tasklets.Add(-1)
		for _, n := range p.bill.held {
			a.bytes.Add(-n)
		}
	}
	p.bill.held = [holdings]int64{}
}

// config is what the tasklet's sandbox is given.
func (g *guest) config() sandbox.Config {
	o := &g.host.opts
	return sandbox.Config{
		Args: g.args, MemoryLimit: o.Limits.Memory, Reserve: g.reserve, Hold: g.holdRequests, CPULimit: o.Limits.CPU, Wall: g.host.wall, Output: g.write, Calls: g,
	}
}

// write takes what the program writes.
func (g *guest) write(b []byte) { g.last.write(g.process.write(b)) }

// write takes what the tasklet writes, and returns what it may write of it.
func (p *process) write(b []byte) []byte {
	at := p.out.End()
	if limit := p.host.opts.Limits.Output; limit > 0 && at+int64(len(b)) > limit {
		b = b[:max(0, limit-at)]
		p.engine.kill(p.host.exceeds(LimitOutput, uint64(limit), 0, 0))
	}
	p.out.Write(b)
	if err := p.holdOutput(); err != nil {
		p.engine.kill(err)
	}
	return b
}

// freeOutput is how much output of a tasklet is not charged, so that one which may
// have no more memory can still say why it ends.
const freeOutput = 64 << 10

// holdOutput charges the output that is here.
func (p *process) holdOutput() error {
	return p.hold(heldOutput, max(p.out.Size(), freeOutput)-freeOutput)
}

func (g *guest) holdRequests(size uint64) error { return g.hold(heldRequests, size) }

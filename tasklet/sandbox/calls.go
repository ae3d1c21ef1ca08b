package sandbox

import (
	"slices"

	"github.com/dstackless/dstackless/tasklet/abi"
)

// Limits on the requests of one guest that have no reply yet. One over the
// limit is refused, and the guest told so.
const (
	// MaxCalls is their number: 4,096. Each takes up to 8 KiB of the host beside
	// its payload, most of which is the stack of who waits for its outcome.
	MaxCalls = 1 << 12
	// CallCost is what each counts for beside its payload, in bytes: 8 KiB.
	CallCost = 8 << 10
	// MaxCallBytes is the sum of their payloads, in bytes: 64 MiB.
	MaxCallBytes = 64 << 20
	// MaxInbox is how many bytes of replies may wait to be read: 64 MiB. A
	// guest that lets more pile up is ended with ErrMemory.
	MaxInbox = 64 << 20
)

// A Call is a guest's request.
type Call struct {
	// ID is the guest's own number for the request, never 0 and unique
	// among those without reply.
	ID uint64
	// Kind is what the guest wants. Kinds are a matter of guest and handler.
	Kind uint32
	// Payload is the request. It must not be changed.
	Payload []byte
}

// A Handler gets a guest's requests.
type Handler interface {
	// Call takes a request. It is called by the guest's goroutine and must
	// not wait; the reply is given later, or from within, with
	// [Instance.Reply]. Requests come in the order in which they were made.
	Call(c Call)
}

// pending is a call without reply.
type pending struct {
	Call
	seq uint64
}

// Reply answers a request. The payload is copied. A reply to a request that is
// not known, or was replied to, is ignored. While the guest is paused the reply
// becomes a part of its state.
//
// A guest that lets more than MaxInbox pile up unread is ended with ErrMemory.
func (i *Instance) Reply(id uint64, payload []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	call, ok := i.calls[id]
	if !ok || i.phase == exited {
		return
	}
	delete(i.calls, id)
	i.bytes -= len(call.Payload)
	if len(i.inbox)+abi.RecordHead+len(payload) > MaxInbox {
		i.kill(ErrMemory)
		return
	}
	if err := i.hold(len(i.calls), i.bytes, len(i.inbox)+abi.RecordHead+len(payload)); err != nil {
		i.kill(err)
		return
	}
	i.inbox = abi.AppendRecord(i.inbox, id, payload)
	i.poke()
}

// hold tells how much the guest makes its host hold. The lock is held.
func (i *Instance) hold(calls, payloads, inbox int) error {
	if i.cfg.Hold == nil {
		return nil
	}
	return i.cfg.Hold(uint64(calls*CallCost + payloads + inbox))
}

// submit is the guest's request. It returns a WASI error number.
func (i *Instance) submit(id uint64, kind uint32, payload []byte) uint32 {
	if i.cfg.Calls == nil {
		return errnoNosys
	}
	i.mu.Lock()
	_, twice := i.calls[id]
	switch {
	case id == 0 || twice:
		i.mu.Unlock()
		return errnoInval
	case len(i.calls) >= MaxCalls || i.bytes+len(payload) > MaxCallBytes:
		i.mu.Unlock()
		return errnoNobufs
	}
	if i.hold(len(i.calls)+1, i.bytes+len(payload), len(i.inbox)) != nil {
		i.mu.Unlock()
		return errnoNobufs
	}
	c := Call{ID: id, Kind: kind, Payload: slices.Clone(payload)}
	i.calls[id] = pending{Call: c, seq: i.nextSeq}
	i.nextSeq++
	i.bytes += len(payload)
	i.ticking = true
	i.mu.Unlock()
	i.cfg.Calls.Call(c)
	return errnoSuccess
}

// take moves waiting replies into p without waiting for any. See the package
// abi for what the results mean.
func (i *Instance) take(p []byte) uint32 {
	i.mu.Lock()
	defer i.mu.Unlock()
	idle := i.idled
	i.idled = false
	if len(i.inbox) == 0 && idle {
		i.ticking = false
		return abi.Idle
	}
	return uint32(i.read(p))
}

// read moves waiting replies into p. The lock is held.
func (i *Instance) read(p []byte) int {
	n := copy(p, i.inbox)
	if i.inbox = i.inbox[n:]; len(i.inbox) == 0 {
		i.inbox = nil
	}
	i.hold(len(i.calls), i.bytes, len(i.inbox)) // less is never refused
	return n
}

// stir gives a guest that is about to be busy, and waits for replies, a reason
// to start looking into its inbox from time to time. The lock is held.
func (i *Instance) stir() {
	if len(i.calls) > 0 && !i.ticking {
		i.ticking = true
		i.inbox = abi.AppendRecord(i.inbox, abi.Tick, nil)
	}
}

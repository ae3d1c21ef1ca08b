package tasklet

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/abi"
	"github.com/dstackless/dstackless/tasklet/compiler"
	"github.com/dstackless/dstackless/tasklet/diskspace"
	"github.com/dstackless/dstackless/tasklet/journal"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// OnStep has f called at each step of the moves to and from h.
func (h *Host) OnStep(f func(step string)) { h.steps.Store(&f) }

// Here reports whether the tasklet runs at h.
func (h *Host) Here(id ID) bool {
	h.mu.Lock()
	p := h.processes[id]
	h.mu.Unlock()
	return p != nil && p.gone() == nil
}

// DecodeContinuation is decodeContinuation.
func DecodeContinuation(data []byte, limit uint64) (*Continuation, error) {
	return decodeContinuation(data, limit)
}

// Programs lists the programs that h has in memory.
func (h *Host) Programs() []compiler.Info { return h.compiler.Programs() }

// ProgramsInUse is programsInUse.
func (h *Host) ProgramsInUse() []cid.Cid { return h.programsInUse() }

// ProbeDisk has a host that is started with o learn from free how much of its disk
// is free.
func ProbeDisk(o *Options, free diskspace.Probe) { o.free = free }

// LimitCompiler has a host that is started with o compile within other limits.
func LimitCompiler(o *Options, limits compiler.Options) { o.compiler = limits }

// Arriving returns the tasklets that are being moved to h.
func (h *Host) Arriving() (ids []ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.incoming {
		ids = append(ids, id)
	}
	return ids
}

// Live reports whether the tasklet runs at h, as opposed to being suspended or
// on its way.
func (h *Host) Live(id ID) bool {
	h.mu.Lock()
	p := h.processes[id]
	h.mu.Unlock()
	return p != nil && p.gone() == nil && !p.suspended()
}

// Backdate makes a suspended tasklet one that was suspended so much earlier.
func (h *Host) Backdate(id ID, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.processes[id]
	s, err := p.record()
	if err != nil {
		panic(err)
	}
	s.Cont.State.Wall -= int64(d)
	if err := p.saveHosted(s); err != nil {
		panic(err)
	}
}

// entries are one entry of each kind.
func entries() []entry {
	return []entry{new(checkpointEntry), new(savedOutcome), new(savedDeparture), new(savedOrigin), new(savedUptime)}
}

// DecodeEntry decodes an entry of the host's records of each kind, and reports how
// many kinds it is of, each of which must be encoded as it was.
func DecodeEntry(key string, data []byte) (kinds int, err error) {
	for _, e := range entries() {
		if decodeEntry(key, data, e) != nil {
			continue
		}
		kinds++
		if _, err := encodeEntry(key, e); err != nil {
			return kinds, err
		}
	}
	return kinds, nil
}

// SealEntry makes an entry of what may be the encoding of one.
func SealEntry(body []byte) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte{entryVersion}, crc32.Checksum(body, castagnoli)), body...)
}

// UnsealEntry is the inverse of SealEntry.
func UnsealEntry(data []byte) []byte { return data[entryHead:] }

// EncodeEntries makes entries of each kind, whose keys are those of the tasklet or,
// of an outcome, the same.
func EncodeEntries(c Continuation) (made [][]byte) {
	hop := Hop{From: c.Origin, To: c.Origin}
	w := c.spec()
	for _, e := range []entry{
		&checkpointEntry{Standing: prepared, Cont: c, Pages: "00-11", Length: 8, Source: c.Origin},
		&savedOutcome{State: committed, ID: c.ID, To: c.Origin, Hop: hop, Claim: c.Claim},
		&savedDeparture{To: c.Origin, Hop: hop},
		&savedOrigin{Program: w.program, Args: w.args, Function: w.function, Where: c.Origin, Exit: &exit{Status: 1}},
	} {
		data, err := encodeEntry(string(c.ID), e)
		if err != nil {
			panic(err)
		}
		made = append(made, data)
	}
	return made
}

// NewClaim makes the claim of a new tasklet of n.
func NewClaim(n *p2p.Node) (ID, Claim) {
	c := newClaim(n.ID().String())
	return c.id(), *c
}

// PassClaim has n pass a claim on.
func PassClaim(n *p2p.Node, id ID, c Claim, to p2p.ID) Claim {
	next, err := (&Host{node: n}).extendClaim(id, &c, to)
	if err != nil {
		return c
	}
	return *next
}

// Holder is holder.
func (c *Claim) Holder(id ID) (p2p.ID, uint64, error) { return c.holder(id) }

// Supersedes is supersedes.
func (c *Claim) Supersedes(older *Claim, holder p2p.ID) bool { return c.supersedes(older, holder) }

// Links returns how many transfers the claim on a tasklet lists that is at h.
func (h *Host) Links(id ID) int {
	h.mu.Lock()
	p := h.processes[id]
	h.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.claim.Links)
}

// DecodeState decodes a state of f.
func DecodeState(f AnyFunction, data []byte) (any, error) { return f.definition().decode(data) }

// Ends returns how many ends of channels a function tasklet has here.
func (h *Host) Ends(id ID) int {
	h.mu.Lock()
	r := h.processes[id].engine.(*routine)
	h.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.self.ends)
}

// Proof is what the peer from shows the peer at to prove that it has the Ref.
func Proof(r Ref, from, at p2p.ID) []byte { return r.Key.proof(r.ID, from, at) }

// DropKey makes a tasklet that is here, and was started here, one that a peer of
// an older version started.
func (h *Host) DropKey(id ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.processes[id].key, h.started[id].key = Key{}, Key{}
}

// DecodeRequest decodes a request of each kind, and an answer.
func DecodeRequest(data []byte) {
	for _, v := range []any{new(control), new(read), new(watch), new(reply), new(event)} {
		codec.Unmarshal(data, v)
	}
}

// Awaited reports whether somebody waits for the end of a function that is here.
func (h *Host) Awaited(id ID) bool {
	h.mu.Lock()
	p := h.processes[id]
	h.mu.Unlock()
	p.over.mu.Lock()
	defer p.over.mu.Unlock()
	return p.over.c != nil
}

// A Caller is a program that does not run but asks.
type Caller struct{ g *guest }

// NewCaller returns a caller at h, which was started there.
func (h *Host) NewCaller(id ID) Caller { return h.NewCallerOf(id, h.self) }

// NewCallerOf returns a caller at h that a peer started.
func (h *Host) NewCallerOf(id ID, origin string) Caller {
	p := h.newProcess(id, spec{program: "none"}, origin, time.Now())
	p.key = newKey()
	if origin != h.self {
		p.source = origin
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p.charge()
	return Caller{p.engine.(*guest)}
}

// Ask asks for something, and withdraws it. It returns how many requests are left.
func (c Caller) Ask(id uint64, kind abi.Kind, payload []byte) (left int) {
	c.g.Call(sandbox.Call{ID: id, Kind: kind, Payload: payload})
	c.g.withdraw(true)
	c.g.leaveChannels()
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return len(c.g.calls) + c.g.requests
}

// ParkAfter has functions that are started from now on rest after d.
func (h *Host) ParkAfter(d time.Duration) { h.parkAfter = d }

// SetWall has programs that are started from now on live by a clock that is
// off by d.
func (h *Host) SetWall(d time.Duration) {
	h.wall = func() time.Time { return time.Now().Add(d) }
}

// Flight is flight.
func Flight(age, held, ago time.Duration) time.Duration { return transitTime(age, held, ago) }

// Parked returns how many functions rest here, without goroutine.
func (h *Host) Parked() (n int) {
	for _, p := range h.all() {
		if r, ok := p.engine.(*routine); ok && r.gone() == nil {
			r.mu.Lock()
			if s := r.self; s != nil && s.phase == callIdle && len(s.parked) > 0 {
				n++
			}
			r.mu.Unlock()
		}
	}
	return n
}

// Hold keeps a function that rests from being called again, as a move would that
// has just begun.
func (h *Host) Hold(id ID) {
	h.mu.Lock()
	r := h.processes[id].engine.(*routine)
	h.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.self.stopRequested = true
}

// UseSpace has functions that are started from now on use the channels of space.
func (h *Host) UseSpace(space channel.Space) { h.space = space }

// The bounds of what a host keeps for others.
const (
	MaxDeparted      = maxDeparted
	MaxSighted       = maxSighted
	MaxUnconfirmedTo = unconfirmedOfPeerMax
	MaxUnconfirmed   = unconfirmedMax
	MaxLinks         = maxLinks
	OutcomeRetention = outcomeRetention
)

// Commit notes that a tasklet which this peer started was given to another one,
// which has not confirmed it.
func (h *Host) Commit(to p2p.ID, source string) (id ID, move [16]byte) {
	claim := newClaim(h.self)
	id = claim.id()
	next, err := h.extendClaim(id, claim, to)
	if err != nil {
		panic(err)
	}
	rand.Read(move[:])
	o := outcome{state: committed, id: id, to: to, claim: *next, hop: Hop{From: h.self, To: to.String()}, source: source, at: h.uptime()}
	h.setOutcome(move, o)
	if err := h.update(func(tx *journal.Tx) error { return h.saveOutcome(tx, move, o) }); err != nil {
		panic(err)
	}
	return id, move
}

// Outcomes returns of how many moves this peer knows what became.
func (h *Host) Outcomes() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.moves)
}

// Forwards notes that n tasklets went away, and n others were found, and returns
// how many of each are known.
func (h *Host) Forwards(n int) (departed, sighted int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range n {
		id := ID(fmt.Sprint(i))
		h.departed.Add(id, departure{to: h.node.ID(), at: h.uptime()})
		h.lastKnown.Add(id, lastKnownHost{at: h.node.ID()})
	}
	return h.departed.Len(), h.lastKnown.Len()
}

// Run makes the host one that has been running for d longer, and has it forget
// what is out of date.
func (h *Host) Run(d time.Duration) {
	h.ranBefore.Add(int64(d))
	h.expireNow()
}

// ConfirmNow asks the destinations of all moves that are not confirmed.
func (h *Host) ConfirmNow() { h.confirmOpen(map[p2p.ID]backoff{}) }

// LookForNewer looks for newer claims on tasklets that are here.
func (h *Host) LookForNewer(ids ...ID) { h.lookForNewerNow(ids) }

// Greet tells other peers this host's incarnation.
func (h *Host) Greet() { h.greetNow() }

// The bounds of tasklets that have ended.
const MaxEnded, MaxEndedBytes = maxEnded, maxEndedBytes

// End notes that n tasklets of another peer have ended here, each with so many
// bytes of output, and returns how many are known, with how many bytes.
func (h *Host) End(n, output int) (known, bytes int) {
	text := make([]byte, output)
	for range n {
		p := h.newProcess(newClaim(h.self).id(), spec{function: "ended"}, h.self, time.Now())
		p.source = "another"
		p.out.Write(text)
		h.mu.Lock()
		h.processes[p.id] = p
		h.mu.Unlock()
		p.finish(&exit{}, false)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.processes {
		if p.exitedBefore(0) {
			known++
		}
	}
	return known, h.endedBytes
}

// Accounts returns of how many peers there are accounts.
func (h *Host) Accounts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.accounts)
}

// Open has the program use a channel.
func (c Caller) Open(name channel.Name) error {
	_, err := c.g.end(name)
	return err
}

// Leave has the program leave all its channels.
func (c Caller) Leave() { c.g.leaveChannels() }

// Count has the program have n more channels open, as far as its host's limits go.
func (c Caller) Count(n int) error { return c.g.countChannels(n) }

// Begin asks for something, and does not wait for it.
func (c Caller) Begin(id uint64, kind abi.Kind, payload []byte) {
	c.g.Call(sandbox.Call{ID: id, Kind: kind, Payload: payload})
}

// Withdraw withdraws what the program asked for, and waits until nothing of it is
// left.
func (c Caller) Withdraw() { c.g.withdraw(true) }

// LookUp returns what looks for peers by way of find as a host does for programs.
func LookUp(find func(context.Context, string) (p2p.ID, error)) func(context.Context, string) (p2p.ID, error) {
	return newLookups(find).lookUp
}

// The bounds of what programs ask of a host's network.
const (
	MaxChannels           = maxChannels
	MaxChannelsOfPeer     = maxChannelsOfPeer
	MaxChannelsOfPrograms = maxChannelsOfPrograms
	MaxLookups            = maxLookups
	LookupLifetime        = lookupLifetime
)

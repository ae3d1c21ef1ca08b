package tasklet

import (
	"context"
	"fmt"

	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

// A sighting is where a tasklet was found that this peer neither started nor
// hosts.
type sighting struct {
	at  p2p.ID
	seq uint64
}

// Open returns a handle on the tasklet with that ID, wherever it is: an ID can
// be sent over a channel and opened at another peer. If this peer neither
// started nor hosts the tasklet, its host is found in the DHT, also when the
// peer that started it and all former hosts are gone. The host shows a claim
// that only it can have, see [Claim].
//
// With such a handle the tasklet can be found ([Tasklet.Where]) and waited for.
// To move, suspend or kill it is for the peer that started it and for those
// where it is.
//
// The error wraps [ErrNotFound] if nobody who can be reached has it.
func (h *Host) Open(ctx context.Context, id ID) (*Tasklet, error) {
	if err := id.validate(); err != nil {
		return nil, fmt.Errorf("tasklet: open: %w: %w", ErrNotFound, err)
	}
	t := &Tasklet{id, h}
	if p, r := t.lookup(); p != nil || r != nil {
		return t, nil
	}
	if !h.enter() {
		return nil, ErrClosed
	}
	defer h.wg.Done()
	if _, err := h.seek(ctx, id); err != nil {
		return nil, fmt.Errorf("tasklet: open %s: %w", id, err)
	}
	return t, nil
}

// key is what the host of a tasklet announces itself under.
func (id ID) key() dht.Key { return dht.KeyOf("tasklet/" + string(id)) }

// seek finds the host of a tasklet in the DHT.
func (h *Host) seek(ctx context.Context, id ID) (p2p.ID, error) {
	var best sighting
	for peer := range h.table.Find(ctx, id.key()) {
		asking, cancel := context.WithTimeout(ctx, confirmTimeout)
		reply, err := h.ask(asking, peer, &control{ID: id, Claim: true})
		cancel()
		if err != nil || reply.Claim == nil {
			continue
		}
		host, seq, err := reply.Claim.holder(id)
		if err != nil || best.at != "" && seq <= best.seq {
			continue
		}
		best = sighting{host, seq}
		if host == peer {
			break // it has it now
		}
	}
	if best.at == "" {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		return "", fmt.Errorf("%w: nobody who can be reached has it", ErrNotFound)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.sighted[id]; old.at == "" || best.seq >= old.seq {
		h.sighted[id] = best
	}
	return h.sighted[id].at, nil
}

// await waits for the end of a tasklet that this peer neither started nor hosts.
func (h *Host) await(ctx context.Context, id ID) (*exit, error) {
	for range maxForwards {
		where, err := h.seek(ctx, id)
		if err != nil {
			return nil, err
		}
		reply, err := h.ask(ctx, where, &control{ID: id, Wait: true})
		if err != nil {
			return nil, err
		}
		if reply.Exited != nil {
			return reply.Exited, nil
		}
	}
	return nil, fmt.Errorf("%w: it moves faster than it can be followed", ErrNotFound)
}

// announce tells the network that this peer has the tasklet, if it has a claim
// that says so. The caller has the turn.
func (p *process) announce() {
	if p.function != "" && len(p.claim.Links) == 0 {
		return // it was never elsewhere
	}
	host, _, err := p.claim.holder(p.id)
	if err == nil && host == p.host.node.ID() && p.silence == nil {
		p.silence = p.host.table.Announce(p.id.key())
	}
}

package tasklet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dstackless/dstackless/codec"
)

// sendState sends memory in rounds, and the rest when the program has stopped.
func (g *guest) sendState(ctx context.Context, m *outgoingMove) error {
	h, c := m.host, m.conn
	c.within(stepTimeout)
	var size uint64
	if err := g.inst.AtSafePoint(ctx, func(memory []byte) { size = uint64(len(memory)) }); err != nil {
		return err
	}
	if err := c.send(tagOffer, m.offer(size)); err != nil {
		return err
	}
	if _, err := c.expect(tagWelcome, 0); err != nil {
		return err
	}
	h.testStep("offer")
	c.within(fetchTimeout + stepTimeout)
	asks, err := c.expect(tagReady, 1)
	if err != nil {
		return err
	}
	h.testStep("prefetch")
	if err := g.precopy(ctx, m, len(asks) > 0); err != nil {
		return err
	}
	h.testStep("freeze")
	return g.sendFrozen(ctx, m)
}

// precopy sends memory while the tasklet runs, until little is new or it does
// not get less. The destination may have asked what the pages are.
func (g *guest) precopy(ctx context.Context, m *outgoingMove, asked bool) error {
	last, stalls := uint64(1<<63), 0
	for round := range precopyRoundsMax {
		before := m.hop.New
		var err error
		switch {
		case round > 0:
			err = g.sendChanges(ctx, m, nil)
		case asked:
			err = g.sendMissing(ctx, m)
		default:
			err = g.sendChanges(ctx, m, g.table.all())
		}
		if err != nil {
			return err
		}
		m.host.testStep("pages")
		sent := m.hop.New - before
		if sent > last/10*9 {
			stalls++
		}
		if sent <= precopyDoneBytes || stalls == stalledRoundsMax {
			return nil
		}
		last = min(last, sent)
	}
	return nil
}

// sendMissing sends what the destination does not have, after it was told what there
// is.
func (g *guest) sendMissing(ctx context.Context, m *outgoingMove) error {
	_, snap, err := g.changes(ctx)
	if err != nil {
		return err
	}
	list := g.table.list(g.table.all(), snap.AppendPage)
	m.conn.within(stepTimeout)
	if err := m.send(tagPages, list); err != nil {
		return err
	}
	need, err := m.conn.expect(tagNeed, len(list.Index)/8+1)
	if err != nil {
		return err
	}
	if len(need) != (len(list.Index)+7)/8 {
		return fmt.Errorf("tasklet: list of missing pages: %w", codec.ErrMalformed)
	}
	var missing []uint32
	for n, i := range list.Index {
		if bit(need, n) {
			missing = append(missing, i)
		}
	}
	return m.sendPages(missing, snap)
}

// sendChanges sends what changed while it is being found, and at last what is left of
// other pages.
func (g *guest) sendChanges(ctx context.Context, m *outgoingMove, others []uint32) error {
	snap, err := g.inst.Snapshot()
	if err != nil {
		return err
	}
	lists := make(chan *PageList, queuedListsMax)
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		defer close(lists)
		tell := func(list *PageList) error {
			select {
			case lists <- list:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		var told []uint32
		_, err := g.refresh(ctx, func(list *PageList) error {
			if len(others) > 0 {
				told = append(told, list.Index...)
			}
			return tell(list)
		})
		if err != nil {
			return err
		}
		slices.Sort(told)
		for some := range slices.Chunk(exceptPages(others, told), pageListPages) {
			if err := tell(&PageList{Size: g.table.size, Index: some}); err != nil {
				return err
			}
		}
		return nil
	})
	both.Go(func() error {
		for list := range lists {
			m.conn.within(stepTimeout)
			if err := m.send(tagPages, list); err != nil {
				return err
			}
			if err := m.sendPages(list.Index, snap); err != nil {
				return err
			}
		}
		return nil
	})
	return both.Wait()
}

// exceptPages returns all but some, both of which are in order.
func exceptPages(all, some []uint32) (left []uint32) {
	for _, i := range all {
		for len(some) > 0 && some[0] < i {
			some = some[1:]
		}
		if len(some) == 0 || some[0] != i {
			left = append(left, i)
		}
	}
	return left
}

// sendFrozen stops the tasklet and sends what is left.
func (g *guest) sendFrozen(ctx context.Context, m *outgoingMove) error {
	h, c := m.host, m.conn
	m.pausedAt = time.Now()
	if err := g.pause(ctx); err != nil {
		return err
	}
	m.paused = true
	g.withdraw(false)
	cont, list, snap, err := g.continuation(ctx)
	if err != nil {
		return err
	}
	cont.Memory, cont.Mover = *list, m.call
	m.clockReadAt, cont.State.Wall = time.Now().Add(-g.inst.Age(&cont.State)), 0
	m.hop.From, m.hop.To = h.self, m.to.String()
	m.hop.Bytes = uint64(g.table.differ) * pageSize
	c.within(stepTimeout)
	if err := m.send(tagFrozen, cont); err != nil {
		return err
	}
	if err := m.sendPages(list.Index, snap); err != nil {
		return err
	}
	h.testStep("prepare")
	c.within(stepTimeout)
	if _, err = c.expect(tagPrepared, 0); err != nil {
		return err
	}
	m.preparedAt = time.Now()
	h.testStep("prepared")
	return nil
}

// released puts pages of a memory that leaves in the cache, for its return, if it is
// so small that they would be asked for. Then the memory is freed, in the
// background: of 1 GiB that takes a tenth of a second.
func (g *guest) released() {
	if snap, err := g.inst.Snapshot(); err == nil && g.table.size < 2*cachedPagesMax*pageSize {
		pages := g.table.all()
		pages = pages[:min(len(pages), cachedPagesOfOneMax)]
		g.table.hashPages(pages, snap.AppendPage)
		for _, i := range pages {
			if key := g.cached(g.table.hashes[i]); !g.host.pages.Contains(key) {
				g.host.pages.Add(key, snap.AppendPage(nil, i))
			}
		}
	}
	g.mu.Lock()
	inst := g.inst
	g.inst = nil
	g.mu.Unlock()
	g.host.wg.Go(func() { inst.Close() })
}

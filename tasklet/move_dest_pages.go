package tasklet

import (
	"fmt"
	"slices"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/tasklet/program"
)

// receiveState gets the program, and its memory.
func (g *guest) receiveState(a *incomingMove) error {
	h, c := a.host, a.conn
	if err := c.send(tagWelcome, nil); err != nil {
		return err
	}
	c.within(fetchTimeout + stepTimeout)
	prog, err := h.fetch(a.ctx, a.offer.Program, a.from)
	if err != nil {
		return err
	}
	defer prog.Release()
	if err := a.openEngine(prog); err != nil {
		return err
	}
	if err := c.sendBytes(tagReady, a.hashesWanted()); err != nil {
		return err
	}
	defer a.unpacker.close()
	limit := maxEncoded(h.opts.Limits.Memory)
	for {
		c.within(stepTimeout + freezeTimeout)
		t, body, err := c.next(limit)
		switch {
		case err != nil:
			return err
		case t == tagPages:
			var list PageList
			if err := codec.Unmarshal(body, &list); err != nil {
				return err
			}
			if err := list.validate(h.opts.Limits.Memory); err != nil {
				return err
			}
			if err := a.receivePages(&list); err != nil {
				return err
			}
			if err := a.syncPages(len(list.Index) < pageListPages); err != nil {
				return err
			}
			h.testStep("received")
		case t == tagFrozen:
			cont, err := decodeContinuation(body, h.opts.Limits.Memory)
			if err != nil {
				return err
			}
			if err := a.adoptProgram(cont); err != nil {
				return err
			}
			h.testStep("restored")
			if err := a.savePrepared(cont); err != nil {
				return err
			}
			a.markPrepared()
			return c.send(tagPrepared, nil)
		default:
			return fmt.Errorf("tasklet: message %d in a move: %w", t, codec.ErrMalformed)
		}
	}
}

// markPrepared notes that the whole tasklet is here. Only the commit is missing.
func (a *incomingMove) markPrepared() {
	a.host.mu.Lock()
	defer a.host.mu.Unlock()
	a.prepared, a.preparedAt = true, time.Now()
}

// syncPages brings pages to disk that have come, if they are many, so that few are
// left for the time when the tasklet stands still.
func (a *incomingMove) syncPages(roundEnds bool) error {
	log := a.program().pageLog
	if log == nil {
		return nil
	}
	fresh := log.Records() - a.syncedRecords
	if fresh < syncPagesCount/4 || fresh < syncPagesCount && !roundEnds {
		return nil
	}
	_, err := log.Sync()
	a.syncedRecords = log.Records()
	return err
}

// hashesWanted returns what is asked of the source: one byte, if some of the memory may be
// here, so that it is worth while to be told by hashes what it is. That is so if
// an earlier attempt brought some, or the cache has as much as half of it.
func (a *incomingMove) hashesWanted() []byte {
	if a.program().table.differ > 0 || a.offer.Memory/2 < uint64(a.host.pages.Len())*pageSize {
		return []byte{1}
	}
	return nil
}

// receivePages handles one list of pages: it finds those that are here already, and
// reads the others.
func (a *incomingMove) receivePages(list *PageList) error {
	p := a.program()
	if err := p.inst.Grow(uint32(list.Size / program.PageSize)); err != nil {
		return fmt.Errorf("%w: %w", ErrContinuation, err)
	}
	memory := p.inst.Memory()
	if uint64(len(memory)) != list.Size {
		return fmt.Errorf("%w: its memory is smaller than the program's own", ErrContinuation)
	}
	if err := a.limitPages(list); err != nil {
		return err
	}
	p.table.resize(list.Size)
	if len(list.Hashes) == 0 {
		if !a.listed && p.table.differ > 0 {
			return fmt.Errorf("%w: a first list without hashes, which were asked for", ErrContinuation)
		}
		a.listed = true
		return a.receiveMissing(memory, list)
	}
	missing, err := a.requestMissing(memory, list)
	if err != nil {
		return err
	}
	return a.receiveMissing(memory, missing)
}

// limitPages keeps what the pages of a list add within bounds: the source sends no page
// more often than a move has rounds, and a log in which most is out of date is
// replaced.
func (a *incomingMove) limitPages(list *PageList) error {
	p, pages := a.program(), int64(list.Size/pageSize)
	a.listedPages += int64(len(list.Index))
	if most := (precopyRoundsMax + 2) * pages; a.listedPages > most {
		return a.host.exceeds(LimitPages, uint64(most), uint64(a.listedPages)-uint64(len(list.Index)), uint64(len(list.Index)))
	}
	if p.pageLog == nil {
		return nil
	}
	if p.pageLog.Records()+int64(len(list.Index)) > 2*pages+spareLogRecords {
		if err := a.replaceLog(); err != nil {
			return err
		}
	}
	return p.holdLog(len(list.Index))
}

// replaceLog makes a new log of what has come, in place of the one that there is.
func (a *incomingMove) replaceLog() error {
	p, memory := a.program(), a.program().inst.Memory()
	fresh, err := a.host.newLog(p.id)
	if err != nil {
		return err
	}
	p.closePages()
	p.pageLog, a.syncedRecords = fresh, 0
	all := p.table.all()
	p.table.hashPages(all, pagesOf(memory))
	for _, i := range all {
		if err := fresh.Append(i, p.table.hashes[i], memory[int(i)*pageSize:][:pageSize]); err != nil {
			return err
		}
	}
	s := a.partialEntry()
	s.Pages = fresh.Name()
	return p.save(s)
}

// requestMissing tells the source which pages of a list are missing: those that are neither
// here from an earlier attempt nor in the cache. It returns a list of them.
func (a *incomingMove) requestMissing(memory []byte, list *PageList) (*PageList, error) {
	p := a.program()
	if !a.listed {
		if err := a.resetUnlisted(memory, list); err != nil {
			return nil, err
		}
	}
	here := slices.DeleteFunc(slices.Clone(list.Index), func(i uint32) bool { return !p.table.differs[i] })
	p.table.hashPages(here, pagesOf(memory))
	missing := &PageList{Size: list.Size}
	need := make([]byte, (len(list.Index)+7)/8)
	for n, i := range list.Index {
		hash := list.hash(n)
		if p.table.differs[i] && p.table.hashes[i] == hash {
			continue
		}
		if page, ok := a.host.pages.Get(p.cached(hash)); ok {
			if err := a.placePage(memory, i, hash, page); err != nil {
				return nil, err
			}
			continue
		}
		need[n/8] |= 1 << (n % 8)
		missing.Index = append(missing.Index, i)
	}
	return missing, a.conn.sendBytes(tagNeed, need)
}

// receiveMissing takes in the pages of a list, which follow. They need not be what their
// hashes say, if the list had some: a page may have changed since, and then comes
// again. The memory of small tasklets is kept in the cache, too, under the hashes
// that are found here: nobody puts a page there under the name of another.
func (a *incomingMove) receiveMissing(memory []byte, list *PageList) error {
	if err := a.checkDiskSpace(list.bytes(), len(a.process.accounts) == 0); err != nil {
		return err
	}
	book, keeps := &a.program().table, list.Size <= cachedPagesOfOneMax*pageSize
	for some := range slices.Chunk(list.Index, messagePages) {
		var into []byte
		if first := some[0]; some[len(some)-1]-first == uint32(len(some)-1) { // they lie side by side
			into = memory[int(first)*pageSize:][:len(some)*pageSize]
			for _, i := range some {
				book.set(i, pageHash{}) // if not all comes, nobody knows what is there
			}
		}
		pages, err := a.unpacker.next(a.conn, len(some), into)
		if err != nil {
			return err
		}
		for n, i := range some {
			var hash pageHash
			page := pages[n*pageSize:][:pageSize]
			if keeps {
				hash = hashOf(page)
				a.host.pages.Add(a.program().cached(hash), slices.Clone(page))
			}
			if err := a.placePage(memory, i, hash, page); err != nil {
				return err
			}
		}
	}
	return nil
}

// resetUnlisted makes the pages that an earlier attempt brought, and that the first list
// does not have, those of the program's own memory.
func (a *incomingMove) resetUnlisted(memory []byte, list *PageList) error {
	a.listed = true
	p := a.program()
	for _, i := range exceptPages(p.table.all(), list.Index) {
		if err := a.placePage(memory, i, pageHash{}, original(p.table.image, int(i))); err != nil {
			return err
		}
	}
	return nil
}

// placePage puts a page where it belongs, unless it is there. Its hash is zero if it
// is not known.
func (a *incomingMove) placePage(memory []byte, i uint32, hash pageHash, page []byte) error {
	p := a.program()
	if hash == (pageHash{}) && p.pageLog != nil {
		hash = hashOf(page)
	}
	if to := memory[int(i)*pageSize:]; &to[0] != &page[0] {
		copy(to, page)
	}
	p.table.set(i, hash)
	if p.pageLog == nil {
		return nil
	}
	return p.pageLog.Append(i, hash, page)
}

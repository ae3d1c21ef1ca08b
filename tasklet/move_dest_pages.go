package tasklet

import (
	"fmt"
	"slices"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/tasklet/program"
)

// take gets the program, and its memory.
func (g *guest) take(a *arrival) error {
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
	if err := a.open(prog); err != nil {
		return err
	}
	if err := c.sendBytes(tagReady, a.asks()); err != nil {
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
			if err := a.receive(&list); err != nil {
				return err
			}
			if err := a.store(len(list.Index) < listed); err != nil {
				return err
			}
			h.reached("received")
		case t == tagFrozen:
			cont, err := decodeContinuation(body, h.opts.Limits.Memory)
			if err != nil {
				return err
			}
			if err := a.restore(cont); err != nil {
				return err
			}
			h.reached("restored")
			if err := a.save(cont); err != nil {
				return err
			}
			a.ready()
			return c.send(tagPrepared, nil)
		default:
			return fmt.Errorf("tasklet: message %d in a move: %w", t, codec.ErrMalformed)
		}
	}
}

// ready notes that all is here but the source's word.
func (a *arrival) ready() {
	a.host.mu.Lock()
	defer a.host.mu.Unlock()
	a.prepared, a.since = true, time.Now()
}

// store brings pages to disk that have come, if they are many, so that few are
// left for the time when the tasklet stands still.
func (a *arrival) store(roundEnds bool) error {
	log := a.guest().pages
	if log == nil {
		return nil
	}
	fresh := log.Records() - a.stored
	if fresh < stored/4 || fresh < stored && !roundEnds {
		return nil
	}
	_, err := log.Sync()
	a.stored = log.Records()
	return err
}

// asks returns what is asked of the source: one byte, if some of the memory may be
// here, so that it is worth while to be told by hashes what it is. That is so if
// an earlier attempt brought some, or the cache has as much as half of it.
func (a *arrival) asks() []byte {
	if a.guest().book.differ > 0 || a.offer.Memory/2 < uint64(a.host.pages.Len())*pageSize {
		return []byte{1}
	}
	return nil
}

// receive takes over a list of pages.
func (a *arrival) receive(list *PageList) error {
	p := a.guest()
	if err := p.inst.Grow(uint32(list.Size / program.PageSize)); err != nil {
		return fmt.Errorf("%w: %w", ErrContinuation, err)
	}
	memory := p.inst.Memory()
	if uint64(len(memory)) != list.Size {
		return fmt.Errorf("%w: its memory is smaller than the program's own", ErrContinuation)
	}
	if err := a.bound(list); err != nil {
		return err
	}
	p.book.resize(list.Size)
	if len(list.Hashes) == 0 {
		if !a.listed && p.book.differ > 0 {
			return fmt.Errorf("%w: a first list without hashes, which were asked for", ErrContinuation)
		}
		a.listed = true
		return a.fill(memory, list)
	}
	missing, err := a.miss(memory, list)
	if err != nil {
		return err
	}
	return a.fill(memory, missing)
}

// spareRecords is how many records a log may have beside two for each page.
const spareRecords = 1024

// bound keeps what the pages of a list add within bounds: the source sends no page
// more often than a move has rounds, and a log in which most is out of date is
// replaced.
func (a *arrival) bound(list *PageList) error {
	p, pages := a.guest(), int64(list.Size/pageSize)
	a.pages += int64(len(list.Index))
	if most := (maxRounds + 2) * pages; a.pages > most {
		return a.host.exceeds(LimitPages, uint64(most), uint64(a.pages)-uint64(len(list.Index)), uint64(len(list.Index)))
	}
	if p.pages == nil {
		return nil
	}
	if p.pages.Records()+int64(len(list.Index)) > 2*pages+spareRecords {
		if err := a.replaceLog(); err != nil {
			return err
		}
	}
	return p.holdLog(len(list.Index))
}

// replaceLog makes a new log of what has come, in place of the one that there is.
func (a *arrival) replaceLog() error {
	p, memory := a.guest(), a.guest().inst.Memory()
	fresh, err := a.host.newLog(p.id)
	if err != nil {
		return err
	}
	p.closePages()
	p.pages, a.stored = fresh, 0
	all := p.book.all()
	p.book.name(all, pagesOf(memory))
	for _, i := range all {
		if err := fresh.Append(i, p.book.hashes[i], memory[int(i)*pageSize:][:pageSize]); err != nil {
			return err
		}
	}
	s := a.partial()
	s.Pages = fresh.Name()
	return p.save(s)
}

// miss tells the source which pages of a list are missing: those that are neither
// here from an earlier attempt nor in the cache. It returns a list of them.
func (a *arrival) miss(memory []byte, list *PageList) (*PageList, error) {
	p := a.guest()
	if !a.listed {
		if err := a.reset(memory, list); err != nil {
			return nil, err
		}
	}
	here := slices.DeleteFunc(slices.Clone(list.Index), func(i uint32) bool { return !p.book.differs[i] })
	p.book.name(here, pagesOf(memory))
	missing := &PageList{Size: list.Size}
	need := make([]byte, (len(list.Index)+7)/8)
	for n, i := range list.Index {
		hash := list.hash(n)
		if p.book.differs[i] && p.book.hashes[i] == hash {
			continue
		}
		if page, ok := a.host.pages.Get(p.cached(hash)); ok {
			if err := a.place(memory, i, hash, page); err != nil {
				return nil, err
			}
			continue
		}
		need[n/8] |= 1 << (n % 8)
		missing.Index = append(missing.Index, i)
	}
	return missing, a.conn.sendBytes(tagNeed, need)
}

// fill takes in the pages of a list, which follow. They need not be what their
// hashes say, if the list had some: a page may have changed since, and then comes
// again. The memory of small tasklets is kept in the cache, too, under the hashes
// that are found here: nobody puts a page there under the name of another.
func (a *arrival) fill(memory []byte, list *PageList) error {
	if err := a.room(list.bytes(), len(a.process.accounts) == 0); err != nil {
		return err
	}
	book, keeps := &a.guest().book, list.Size <= maxKept*pageSize
	for some := range slices.Chunk(list.Index, batch) {
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
				a.host.pages.Add(a.guest().cached(hash), slices.Clone(page))
			}
			if err := a.place(memory, i, hash, page); err != nil {
				return err
			}
		}
	}
	return nil
}

// reset makes the pages that an earlier attempt brought, and that the first list
// does not have, those of the program's own memory.
func (a *arrival) reset(memory []byte, list *PageList) error {
	a.listed = true
	p := a.guest()
	for _, i := range without(p.book.all(), list.Index) {
		if err := a.place(memory, i, pageHash{}, original(p.book.image, int(i))); err != nil {
			return err
		}
	}
	return nil
}

// place puts a page where it belongs, unless it is there. Its hash is zero if it
// is not known.
func (a *arrival) place(memory []byte, i uint32, hash pageHash, page []byte) error {
	p := a.guest()
	if hash == (pageHash{}) && p.pages != nil {
		hash = hashOf(page)
	}
	if to := memory[int(i)*pageSize:]; &to[0] != &page[0] {
		copy(to, page)
	}
	p.book.set(i, hash)
	if p.pages == nil {
		return nil
	}
	return p.pages.Append(i, hash, page)
}

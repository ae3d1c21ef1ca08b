package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// The database is a file of bbolt, which panics, goes on for ever or reads what
// is not there when its pages are damaged. So they are verified before bbolt sees
// them. The format is that of bbolt's internal/common: pages of one size, each with
// a head and elements; two pages at the beginning tell where the others are.
const (
	pageHead    = 16
	elementSize = 16
	metaSize    = 64
	metaMagic   = 0xED0CDAED
	metaVersion = 2

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10
	flagTable    = 0x01 // of an element of a leaf: its value is a table

	manyFree   = 0xFFFF     // pages: their number stands in place of the first
	noFreelist = ^uint64(0) // there is no list of free pages

	maxDepth = 64 // of a tree of pages
)

var order = binary.NativeEndian

// A verifier looks at all pages of a database once.
type verifier struct {
	file io.ReaderAt
	page int64  // size of one
	used []bool // by page
}

// verify returns what is wrong with a database, if anything.
func verify(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	m, err := readMeta(f, info.Size())
	if err != nil {
		return err
	}
	if m.pages < 4 || m.pages > uint64(info.Size())/uint64(m.page) {
		return fmt.Errorf("it is cut off: it has %d bytes, and was of %d pages of %d", info.Size(), m.pages, m.page)
	}
	v := &verifier{file: f, page: int64(m.page), used: make([]bool, m.pages)}
	v.used[0], v.used[1] = true, true
	if err := v.tree(m.root, nil, nil, 0); err != nil {
		return err
	}
	if m.free == noFreelist {
		return nil
	}
	return v.freelist(m.free)
}

// A meta is what the pages at the beginning say.
type meta struct {
	page  uint32 // size of a page
	root  uint64
	free  uint64 // page with the list of free ones
	pages uint64 // number of pages
	txid  uint64
}

// readMeta returns the newer meta that is sound.
func readMeta(f io.ReaderAt, size int64) (best meta, err error) {
	for _, at := range []int64{0, 4096, 8192, 16384, 32768, 65536} { // where the second is depends on the size of a page
		m, ok := parseMeta(f, at, size)
		if ok && (at == 0 || at == int64(m.page)) && (best.page == 0 || m.txid > best.txid) {
			best = m
		}
	}
	if best.page == 0 {
		return best, errors.New("it is no database")
	}
	return best, nil
}

func parseMeta(f io.ReaderAt, at, size int64) (m meta, ok bool) {
	b := make([]byte, pageHead+metaSize)
	if at+int64(len(b)) > size {
		return m, false
	}
	if _, err := f.ReadAt(b, at); err != nil {
		return m, false
	}
	b = b[pageHead:]
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	if order.Uint32(b) != metaMagic || order.Uint32(b[4:]) != metaVersion || order.Uint64(b[metaSize-8:]) != sum.Sum64() {
		return m, false
	}
	m = meta{page: order.Uint32(b[8:]), root: order.Uint64(b[16:]), free: order.Uint64(b[32:]), pages: order.Uint64(b[40:]), txid: order.Uint64(b[48:])}
	return m, m.page >= 1024 && m.page <= 64<<10 && m.page&(m.page-1) == 0
}

// read returns a page, with those that continue it, which nothing else may use.
func (v *verifier) read(id uint64) ([]byte, error) {
	if id >= uint64(len(v.used)) {
		return nil, fmt.Errorf("page %d is none", id)
	}
	head := make([]byte, pageHead)
	if _, err := v.file.ReadAt(head, int64(id)*v.page); err != nil {
		return nil, err
	}
	more := uint64(order.Uint32(head[12:]))
	if order.Uint64(head) != id || id+more >= uint64(len(v.used)) {
		return nil, fmt.Errorf("page %d is not what it was", id)
	}
	for i := id; i <= id+more; i++ {
		if err := v.use(i); err != nil {
			return nil, err
		}
	}
	b := make([]byte, int64(1+more)*v.page)
	_, err := v.file.ReadAt(b, int64(id)*v.page)
	return b, err
}

func (v *verifier) use(id uint64) error {
	if id >= uint64(len(v.used)) || v.used[id] {
		return fmt.Errorf("page %d is used twice, or is none", id)
	}
	v.used[id] = true
	return nil
}

// tree verifies a page and those below it, whose keys are from first on and before
// end.
func (v *verifier) tree(id uint64, first, end []byte, depth int) error {
	b, err := v.read(id)
	if err != nil {
		return err
	}
	if err := v.elements(b, first, end, depth); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// elements verifies the elements of a page.
func (v *verifier) elements(b, first, end []byte, depth int) error {
	flags, count := order.Uint16(b[8:]), int(order.Uint16(b[10:]))
	branch := flags == flagBranch
	if !branch && flags != flagLeaf || branch && count == 0 || pageHead+count*elementSize > len(b) || depth > maxDepth {
		return errors.New("it is not what it was")
	}
	keys, err := elementKeys(b, count, branch)
	if err != nil {
		return err
	}
	for n, key := range keys {
		if bytes.Compare(key, first) < 0 || n > 0 && bytes.Compare(key, keys[n-1]) <= 0 || end != nil && bytes.Compare(key, end) >= 0 {
			return errors.New("its keys are not in order")
		}
	}
	for n, key := range keys {
		e := b[pageHead+n*elementSize:]
		var err error
		switch {
		case branch && n+1 < len(keys):
			err = v.tree(order.Uint64(e[8:]), key, keys[n+1], depth+1)
		case branch:
			err = v.tree(order.Uint64(e[8:]), key, end, depth+1)
		case order.Uint32(e) == flagTable:
			at := uint64(order.Uint32(e[4:])) + uint64(order.Uint32(e[8:]))
			err = v.table(e[at:][:order.Uint32(e[12:])], depth)
		case order.Uint32(e) != 0:
			err = errors.New("an entry is not what it was")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// elementKeys returns the keys of a page's elements, all of which lie in it.
func elementKeys(b []byte, count int, branch bool) (keys [][]byte, err error) {
	for n := range count {
		e := b[pageHead+n*elementSize:]
		at, size, value := uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:]))
		if branch {
			at, size, value = uint64(order.Uint32(e)), uint64(order.Uint32(e[4:])), 0
		}
		if at < elementSize || size == 0 || at+size+value > uint64(len(e)) {
			return nil, fmt.Errorf("element %d is outside of it", n)
		}
		keys = append(keys, e[at:][:size])
	}
	return keys, nil
}

// table verifies a table: a page of its own, or in place.
func (v *verifier) table(value []byte, depth int) error {
	switch {
	case len(value) < 16:
		return errors.New("a table is cut off")
	case order.Uint64(value) != 0:
		return v.tree(order.Uint64(value), nil, nil, depth+1)
	case len(value) < 16+pageHead || order.Uint16(value[16+8:]) != flagLeaf:
		return errors.New("a table is not what it was")
	}
	return v.elements(value[16:], nil, nil, depth+1)
}

// freelist verifies the list of free pages, which nothing else uses.
func (v *verifier) freelist(id uint64) error {
	b, err := v.read(id)
	if err != nil {
		return err
	}
	count, ids := uint64(order.Uint16(b[10:])), b[pageHead:]
	if count == manyFree {
		count, ids = order.Uint64(ids), ids[8:]
	}
	if order.Uint16(b[8:]) != flagFreelist || count > uint64(len(ids)/8) {
		return errors.New("the list of free pages is not what it was")
	}
	for last := uint64(0); count > 0; count-- {
		free := order.Uint64(ids)
		if free <= last {
			return errors.New("the list of free pages is not in order")
		}
		if err := v.use(free); err != nil {
			return err
		}
		last, ids = free, ids[8:]
	}
	return nil
}

package dht

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/libp2p/go-libp2p-kad-dht/records"

	"github.com/dstackless/dstackless/p2p/quota"
)

// providers keeps who announced which key, for kad-dht. It gives them the form of
// a datastore, under /providers/key/peer, and asks by key: the memory datastore
// of kad-dht copies all it has for each such question, so that a peer that asks
// for each of its n channels copies n² records.
//
// Anybody may announce anything, so there are limits. To exceed them is no error,
// which kad-dht would take for one of the disk.
type providers struct {
	holder func(peer string) quota.Holder

	mu        sync.Mutex
	byKey     map[string][]record
	sources   map[string]*source
	strangers map[netip.Addr]int // records of strangers at an address
	all, some int                // records, and those of strangers

	max, maxOfPeer int // maxRecords and maxOfPeer
}

const (
	// maxRecords is how many records are kept of all peers together, about
	// 100 MB, and three quarters of them are the most that strangers have. One more
	// takes the place of one of the address that has most among samples. What an
	// honest peer loses it announces again.
	maxRecords = 1 << 20
	samples    = 32
	// maxOfPeer is how many records one peer has, twice as many as the channels
	// that it may have open. What is more is left out.
	maxOfPeer = 1 << 17
	// maxOfKey is how many peers are kept under one key. One more takes the
	// place of one, as above, so that nobody who floods a key keeps others out.
	maxOfKey = 1024
)

// A record is the part of a record under one key.
type record struct {
	from  *source
	value []byte // when; not ours to read
}

// A source is a peer that has announced something, often many keys.
type source struct {
	peer    string
	addr    netip.Addr // where it was when it began
	known   bool       // it is no stranger
	records int
}

var _ datastore.Batching = (*providers)(nil)

func newProviders(holder func(peer string) quota.Holder) *providers {
	return &providers{
		holder: holder,
		byKey:  map[string][]record{}, sources: map[string]*source{}, strangers: map[netip.Addr]int{},
		max: maxRecords, maxOfPeer: maxOfPeer,
	}
}

// count counts a record that came, or one that is gone. The lock is held.
func (p *providers) count(s *source, n int) {
	p.all += n
	p.sources[s.peer] = s
	if s.records += n; s.records == 0 {
		delete(p.sources, s.peer)
	}
	if s.known {
		return
	}
	p.some += n
	if p.strangers[s.addr] += n; p.strangers[s.addr] == 0 {
		delete(p.strangers, s.addr)
	}
}

// source returns a peer that announces something. The lock is held.
func (p *providers) source(peer string) *source {
	s := p.sources[peer]
	if s == nil {
		h := p.holder(peer)
		s = &source{peer: strings.Clone(peer), addr: quota.Address(h.Addr), known: h.Known}
		p.sources[s.peer] = s
	}
	return s
}

// split takes a name apart; ok is false if it can't be one of a record.
func split(name datastore.Key) (key, peer string, ok bool) {
	path, ours := strings.CutPrefix(name.String(), records.ProvidersKeyPrefix)
	key, peer, two := strings.Cut(path, "/")
	return key, peer, ours && two && key != "" && peer != "" && !strings.Contains(peer, "/")
}

func find(list []record, peer string) int {
	return slices.IndexFunc(list, func(r record) bool { return r.from.peer == peer })
}

// Put implements [datastore.Write]. It keeps value.
func (p *providers) Put(ctx context.Context, name datastore.Key, value []byte) error {
	key, peer, ok := split(name)
	if !ok {
		return fmt.Errorf("dht: %s is no record of a provider", name)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := find(p.byKey[key], peer); i >= 0 {
		p.byKey[key][i].value = value
		return nil
	}
	from := p.source(peer)
	if !p.makeRoom(key, from) {
		if from.records == 0 {
			delete(p.sources, peer)
		}
		return nil
	}
	list, known := p.byKey[key]
	if !known {
		key = strings.Clone(key) // without the rest of the name
	}
	p.byKey[key] = append(list, record{from, value})
	p.count(from, 1)
	return nil
}

// makeRoom drops records until there is room for one more under key. It reports
// false if there is none for this peer. The lock is held.
func (p *providers) makeRoom(key string, from *source) bool {
	if from.records >= p.maxOfPeer {
		return false
	}
	if p.all >= p.max || !from.known && p.some >= p.max/4*3 {
		if !p.dropOne(from, p.sample) {
			return false
		}
	}
	if list := p.byKey[key]; len(list) >= maxOfKey {
		return p.dropOne(from, func(yield func(string, int)) {
			for range samples {
				yield(key, rand.IntN(len(list)))
			}
		})
	}
	return true
}

// sample yields some of the records, at random.
func (p *providers) sample(yield func(key string, i int)) {
	n := 0
	for key, list := range p.byKey { // which begins anywhere
		yield(key, rand.IntN(len(list)))
		if n++; n == samples {
			return
		}
	}
}

// dropOne drops one of the records that sample yields: of the address that has
// most. It reports false if the one that wants its place has more. The lock is
// held.
func (p *providers) dropOne(from *source, sample func(yield func(key string, i int))) bool {
	most, key, at := -1, "", 0
	sample(func(k string, i int) {
		if n := p.weight(p.byKey[k][i].from); n > most {
			most, key, at = n, k, i
		}
	})
	if most < p.weight(from) || most == 0 && !from.known {
		return false
	}
	p.drop(key, p.byKey[key], at)
	return true
}

// weight returns how much others want the place of a record of s: known peers
// lose theirs to each other alone.
func (p *providers) weight(s *source) int {
	if s.known {
		return 0
	}
	return p.strangers[s.addr]
}

// drop drops the record at i in the list of a key. The lock is held.
func (p *providers) drop(key string, list []record, i int) {
	p.count(list[i].from, -1)
	last := len(list) - 1
	list[i], list[last] = list[last], record{}
	if p.byKey[key] = list[:last]; last == 0 {
		delete(p.byKey, key)
	}
}

// Delete implements [datastore.Write].
func (p *providers) Delete(ctx context.Context, name datastore.Key) error {
	key, peer, _ := split(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.byKey[key]
	if i := find(list, peer); i >= 0 {
		p.drop(key, list, i)
	}
	return nil
}

// Get implements [datastore.Read].
func (p *providers) Get(ctx context.Context, name datastore.Key) ([]byte, error) {
	key, peer, _ := split(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.byKey[key]
	if i := find(list, peer); i >= 0 {
		return list[i].value, nil
	}
	return nil, datastore.ErrNotFound
}

// Has implements [datastore.Read].
func (p *providers) Has(ctx context.Context, name datastore.Key) (bool, error) {
	return datastore.GetBackedHas(ctx, p, name)
}

// GetSize implements [datastore.Read].
func (p *providers) GetSize(ctx context.Context, name datastore.Key) (int, error) {
	return datastore.GetBackedSize(ctx, p, name)
}

// Query implements [datastore.Read]. With the prefix of a key, it looks at no
// other.
func (p *providers) Query(ctx context.Context, q query.Query) (query.Results, error) {
	var found []query.Entry
	add := func(key string, list []record) {
		for _, x := range list {
			e := query.Entry{Key: records.ProvidersKeyPrefix + key + "/" + x.from.peer, Size: len(x.value)}
			if !q.KeysOnly {
				e.Value = x.value
			}
			found = append(found, e)
		}
	}
	path, ours := strings.CutPrefix(q.Prefix, records.ProvidersKeyPrefix)
	key, _, _ := strings.Cut(path, "/")
	p.mu.Lock()
	if ours && key != "" {
		add(key, p.byKey[key])
	} else {
		for key, list := range p.byKey {
			add(key, list)
		}
	}
	p.mu.Unlock()
	return query.NaiveQueryApply(q, query.ResultsWithEntries(q, found)), nil
}

// Batch implements [datastore.Batching].
func (p *providers) Batch(context.Context) (datastore.Batch, error) {
	return datastore.NewBasicBatch(p), nil
}

// Sync implements [datastore.Datastore]. There is nothing to do.
func (p *providers) Sync(context.Context, datastore.Key) error { return nil }

// Close implements [datastore.Datastore]. There is nothing to do.
func (p *providers) Close() error { return nil }

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

	mu               sync.Mutex
	byKey            map[string]*entry
	sources          map[string]*source
	strangers        map[netip.Addr]*address
	all, ofStrangers int // records, and those of strangers

	max, maxOfPeer int // recordsMax and recordsOfPeerMax
}

const (
	// recordsMax is how many records are kept of all peers together, about
	// 230 MB. Three quarters of them are the most that strangers have, and the most
	// that known peers have. One more takes the place of one of the address that has most. What an honest peer
	// loses it announces again.
	recordsMax = 1 << 20
	// recordsOfPeerMax is how many records one peer has, twice as many as the channels
	// that it may have open. What is more is left out.
	recordsOfPeerMax = 1 << 17
	// peersOfKeyMax is how many peers are kept under one key. One more takes the
	// place of one of the address that has most among samples, so that nobody who
	// floods a key keeps others out.
	peersOfKeyMax = 1024
	samplesCount  = 32
)

// An entry is what is kept under one key.
type entry struct {
	key  string
	list []record
}

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
	entries []*entry // that it is in, or was: twice as many as records at most, and some
}

// An address is where strangers are.
type address struct {
	records int
	sources map[*source]bool
}

var _ datastore.Batching = (*providers)(nil)

func newProviders(holder func(peer string) quota.Holder) *providers {
	return &providers{
		holder: holder,
		byKey:  map[string]*entry{}, sources: map[string]*source{}, strangers: map[netip.Addr]*address{},
		max: recordsMax, maxOfPeer: recordsOfPeerMax,
	}
}

// source returns a peer that announces something. The lock is held.
func (p *providers) source(peer string) *source {
	if s := p.sources[peer]; s != nil {
		return s
	}
	h := p.holder(peer)
	return &source{peer: strings.Clone(peer), addr: quota.Address(h.Addr), known: h.Known}
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
	p.ofStrangers += n
	a := p.strangers[s.addr]
	if a == nil {
		a = &address{sources: map[*source]bool{}}
		p.strangers[s.addr] = a
	}
	a.sources[s] = true
	if s.records == 0 {
		delete(a.sources, s)
	}
	if a.records += n; a.records == 0 {
		delete(p.strangers, s.addr)
	}
}

// split takes a name apart; ok is false if it can't be one of a record.
func split(name datastore.Key) (key, peer string, ok bool) {
	path, ours := strings.CutPrefix(name.String(), records.ProvidersKeyPrefix)
	key, peer, two := strings.Cut(path, "/")
	return key, peer, ours && two && key != "" && peer != "" && !strings.Contains(peer, "/")
}

// find returns the entry of a key, or nil, and which of its records is a peer's, or
// -1. The lock is held.
func (p *providers) find(key, peer string) (e *entry, i int) {
	e = p.byKey[key]
	if e == nil {
		return nil, -1
	}
	return e, slices.IndexFunc(e.list, func(r record) bool { return r.from.peer == peer })
}

// Put implements [datastore.Write]. It keeps value.
func (p *providers) Put(ctx context.Context, name datastore.Key, value []byte) error {
	key, peer, ok := split(name)
	if !ok {
		return fmt.Errorf("dht: %s is no record of a provider", name)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, i := p.find(key, peer); i >= 0 {
		e.list[i].value = value
		return nil
	}
	from := p.source(peer)
	if !p.makeRoom(key, from) {
		return nil
	}
	e := p.byKey[key]
	if e == nil {
		e = &entry{key: strings.Clone(key)} // without the rest of the name
		p.byKey[e.key] = e
	}
	e.list = append(e.list, record{from, value})
	from.entries = append(from.entries, e)
	p.count(from, 1)
	return nil
}

// makeRoom drops records until there is room for one more under key. It reports
// false if there is none for this peer. The lock is held.
func (p *providers) makeRoom(key string, from *source) bool {
	if from.records >= p.maxOfPeer {
		return false
	}
	if e := p.byKey[key]; e != nil && len(e.list) >= peersOfKeyMax && !p.dropOf(e, from) {
		return false
	}
	if from.known && p.all-p.ofStrangers >= p.max/4*3 {
		return false
	}
	if p.all < p.max && (from.known || p.ofStrangers < p.max/4*3) {
		return true
	}
	greediest := p.greediest()
	if greediest == nil || p.weight(greediest) < p.weight(from) {
		return false
	}
	p.dropAny(greediest)
	return true
}

// dropOf drops one of the records of an entry: of the address that has most among
// samples. It reports false if the one that wants its place has more. The lock is
// held.
func (p *providers) dropOf(e *entry, from *source) bool {
	most, at := -1, 0
	for range samplesCount {
		i := rand.IntN(len(e.list))
		if n := p.weight(e.list[i].from); n > most {
			most, at = n, i
		}
	}
	if most < p.weight(from) || most == 0 && !from.known {
		return false
	}
	p.drop(e, at)
	return true
}

// greediest returns a stranger that has most, among samples of those at the
// address that has most, or nil. The lock is held.
func (p *providers) greediest() (s *source) {
	var most *address
	for _, a := range p.strangers {
		if most == nil || a.records > most.records {
			most = a
		}
	}
	if most == nil {
		return nil
	}
	n := 0
	for x := range most.sources { // which begins anywhere
		if s == nil || x.records > s.records {
			s = x
		}
		if n++; n == samplesCount {
			break
		}
	}
	return s
}

// dropAny drops one of the records of s, which has some. The lock is held.
func (p *providers) dropAny(s *source) {
	for {
		i := rand.IntN(len(s.entries))
		e := s.entries[i]
		if at := slices.IndexFunc(e.list, func(r record) bool { return r.from == s }); at >= 0 {
			p.drop(e, at)
			return
		}
		s.forget(i) // the record is gone
	}
}

func (s *source) forget(i int) {
	last := len(s.entries) - 1
	s.entries[i], s.entries[last] = s.entries[last], nil
	s.entries = s.entries[:last]
}

// weight returns how much others want the place of a record of s, which is 0 for
// a known peer. The lock is held.
func (p *providers) weight(s *source) int {
	if a := p.strangers[s.addr]; a != nil && !s.known {
		return a.records
	}
	return 0
}

// drop drops the record at i of an entry. The lock is held.
func (p *providers) drop(e *entry, i int) {
	s := e.list[i].from
	last := len(e.list) - 1
	e.list[i], e.list[last] = e.list[last], record{}
	if e.list = e.list[:last]; last == 0 {
		delete(p.byKey, e.key)
	}
	p.count(s, -1)
	if len(s.entries) > 2*s.records+8 {
		seen := make(map[*entry]bool, s.records)
		s.entries = slices.DeleteFunc(s.entries, func(e *entry) bool {
			again := seen[e]
			seen[e] = true
			return again || !slices.ContainsFunc(e.list, func(r record) bool { return r.from == s })
		})
	}
}

// Delete implements [datastore.Write].
func (p *providers) Delete(ctx context.Context, name datastore.Key) error {
	key, peer, _ := split(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, i := p.find(key, peer); i >= 0 {
		p.drop(e, i)
	}
	return nil
}

// Get implements [datastore.Read].
func (p *providers) Get(ctx context.Context, name datastore.Key) ([]byte, error) {
	key, peer, _ := split(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, i := p.find(key, peer); i >= 0 {
		return e.list[i].value, nil
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
	add := func(e *entry) {
		for _, x := range e.list {
			f := query.Entry{Key: records.ProvidersKeyPrefix + e.key + "/" + x.from.peer, Size: len(x.value)}
			if !q.KeysOnly {
				f.Value = x.value
			}
			found = append(found, f)
		}
	}
	path, ours := strings.CutPrefix(q.Prefix, records.ProvidersKeyPrefix)
	key, _, _ := strings.Cut(path, "/")
	p.mu.Lock()
	if !ours || key == "" {
		for _, e := range p.byKey {
			add(e)
		}
	} else if e := p.byKey[key]; e != nil {
		add(e)
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

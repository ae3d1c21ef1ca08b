package dht

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"unique"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/libp2p/go-libp2p-kad-dht/records"
)

// providers keeps who announced which key, for kad-dht. It gives them the form of
// a datastore, under /providers/key/peer, and asks by key: the memory datastore
// of kad-dht copies all it has for each such question, so that a peer that asks
// for each of its n channels copies n² records.
//
// Anybody may announce anything, so there are limits. To exceed them is no error,
// which kad-dht would take for one of the disk.
type providers struct {
	mu    sync.Mutex
	byKey map[string][]record
	share map[unique.Handle[string]]int // of each peer, in records
	all   int

	max, maxOfPeer int // maxRecords and maxOfPeer
}

const (
	// maxRecords is how many records are kept of all peers together, about
	// 100 MB. One more takes the place of any: most likely of one of those who
	// have most, and what an honest peer loses it announces again.
	maxRecords = 1 << 20
	// maxOfPeer is how many records one peer has, twice as many as the channels
	// that it may have open. What is more is left out.
	maxOfPeer = 1 << 17
	// maxOfKey is how many peers are kept under one key. One more takes the
	// place of any, so that nobody who floods a key keeps others out for long.
	maxOfKey = 1024
)

// A record is the part of a record under one key. A peer has announced many
// keys: its name is kept once.
type record struct {
	peer  unique.Handle[string]
	value []byte // when; not ours to read
}

var _ datastore.Batching = (*providers)(nil)

func newProviders() *providers {
	return &providers{
		byKey: map[string][]record{}, share: map[unique.Handle[string]]int{},
		max: maxRecords, maxOfPeer: maxOfPeer,
	}
}

// count counts a record that came, or one that is gone. The lock is held.
func (p *providers) count(peer unique.Handle[string], n int) {
	p.all += n
	if p.share[peer] += n; p.share[peer] == 0 {
		delete(p.share, peer)
	}
}

// split takes a name apart; ok is false if it can't be one of a record.
func split(name datastore.Key) (key, peer string, ok bool) {
	path, ours := strings.CutPrefix(name.String(), records.ProvidersKeyPrefix)
	key, peer, two := strings.Cut(path, "/")
	return key, peer, ours && two && key != "" && peer != "" && !strings.Contains(peer, "/")
}

func find(list []record, peer string) int {
	h := unique.Make(peer)
	for i := range list {
		if list[i].peer == h {
			return i
		}
	}
	return -1
}

// Put implements [datastore.Write]. It keeps value.
func (p *providers) Put(ctx context.Context, name datastore.Key, value []byte) error {
	key, peer, ok := split(name)
	if !ok {
		return fmt.Errorf("dht: %s is no record of a provider", name)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	list, known := p.byKey[key]
	if i := find(list, peer); i >= 0 {
		list[i].value = value
		return nil
	}
	r := record{unique.Make(peer), value}
	if p.share[r.peer] >= p.maxOfPeer {
		return nil
	}
	if p.all >= p.max {
		p.dropAny()
		list = p.byKey[key]
		known = len(list) > 0
	}
	switch {
	case len(list) >= maxOfKey:
		i := rand.IntN(len(list))
		p.count(list[i].peer, -1)
		list[i] = r
	default:
		if !known {
			key = strings.Clone(key) // without the rest of the name
		}
		p.byKey[key] = append(list, r)
	}
	p.count(r.peer, 1)
	return nil
}

// dropAny drops one of the records. The lock is held.
func (p *providers) dropAny() {
	for key, list := range p.byKey { // which begins anywhere
		p.drop(key, list, rand.IntN(len(list)))
		return
	}
}

// drop drops the record at i in the list of a key. The lock is held.
func (p *providers) drop(key string, list []record, i int) {
	p.count(list[i].peer, -1)
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
			e := query.Entry{Key: records.ProvidersKeyPrefix + key + "/" + x.peer.Value(), Size: len(x.value)}
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

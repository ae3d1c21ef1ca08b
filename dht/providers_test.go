package dht_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"github.com/dstackless/dstackless/dht"
)

// Whatever is done to it, it answers as kad-dht's own.
func TestProviders(t *testing.T) {
	ctx := t.Context()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	got, want := dht.NewProviders(), datastore.NewMapDatastore()
	answer := func(d datastore.Read, q query.Query) []string {
		found, err := d.Query(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := found.Rest()
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, e := range entries {
			list = append(list, fmt.Sprintf("%s=%s %d", e.Key, e.Value, e.Size))
		}
		slices.Sort(list)
		return list
	}
	found := 0
	for i := range 5000 {
		key := fmt.Sprintf("/providers/K%d", r.IntN(12)) // K1 is a prefix of K11
		name := datastore.RawKey(fmt.Sprintf("%s/P%d", key, r.IntN(4)))
		switch r.IntN(4) {
		case 0, 1:
			value := fmt.Append(nil, i)
			if err := got.Put(ctx, name, value); err != nil {
				t.Fatal(err)
			}
			want.Put(ctx, name, value)
		case 2:
			if err := got.Delete(ctx, name); err != nil {
				t.Fatal(err)
			}
			want.Delete(ctx, name)
		}
		for _, prefix := range []string{key, key + "/", "/providers/", "/providers", "", "/other/"} {
			q := query.Query{Prefix: prefix, KeysOnly: r.IntN(8) == 0}
			g, w := answer(got, q), answer(want, q)
			if !slices.Equal(g, w) {
				t.Fatalf("step %d, prefix %q:\ngot  %s\nwant %s", i, prefix, strings.Join(g, ", "), strings.Join(w, ", "))
			}
			found += len(w)
		}
		g, gerr := got.Get(ctx, name)
		w, werr := want.Get(ctx, name)
		if string(g) != string(w) || gerr != werr {
			t.Fatalf("step %d, %s: got %q, %v, want %q, %v", i, name, g, gerr, w, werr)
		}
		size, _ := got.GetSize(ctx, name)
		if has, _ := got.Has(ctx, name); has != (werr == nil) || has && size != len(w) {
			t.Fatalf("step %d, %s: has %v of size %d, want %v, %d", i, name, has, size, werr == nil, len(w))
		}
	}
	if said, kept := dht.Records(got); said != kept {
		t.Errorf("%d records are kept, %d counted", kept, said)
	}
	if found == 0 {
		t.Error("nothing was ever found")
	}
	for _, name := range []string{"/other/K1/P1", "/providers/K1", "/providers/K1/P1/more"} {
		if err := got.Put(ctx, datastore.RawKey(name), nil); err == nil {
			t.Errorf("%s is taken for a record", name)
		}
	}
}

// Peers that announce all they can have their share, and others find room.
func TestProvidersFlood(t *testing.T) {
	const all, ofPeer = 20_000, 2500
	ctx, d := t.Context(), dht.NewSmallProviders(all, ofPeer)
	put := func(key, peer string) bool {
		name := datastore.RawKey("/providers/" + key + "/" + peer)
		if err := d.Put(ctx, name, []byte("now")); err != nil {
			t.Fatal(err)
		}
		has, err := d.Has(ctx, name)
		return has && err == nil
	}
	for i := range all/ofPeer + 2 {
		for n := range ofPeer + 1 {
			if had := put(fmt.Sprintf("K%d-%d", i, n), fmt.Sprintf("F%d", i)); had != (n < ofPeer) && i == 0 {
				t.Fatalf("record %d of one peer: %v", n, had)
			}
		}
	}
	for i := range 1000 {
		if !put(fmt.Sprintf("H%d", i), "honest") {
			t.Fatalf("there is no room for record %d of an honest peer", i)
		}
	}
	for i := range 3 * dht.PeersOfKeyMax {
		put("crowded", fmt.Sprintf("S%d", i))
	}
	if !put("crowded", "honest") {
		t.Error("a crowded key keeps others out")
	}
	found, err := d.Query(ctx, query.Query{Prefix: "/providers/crowded/"})
	if err != nil {
		t.Fatal(err)
	}
	// Some may have lost their place in the store.
	if list, _ := found.Rest(); len(list) > dht.PeersOfKeyMax || len(list) < dht.PeersOfKeyMax*3/4 {
		t.Errorf("%d peers are under one key, want %d at most", len(list), dht.PeersOfKeyMax)
	}
	if said, kept := dht.Records(d); said != kept || kept > all {
		t.Errorf("%d records are kept, %d counted, want %d at most", kept, said, all)
	}
}

// Strangers with many IDs on a few addresses fill the store, and a key. Who was
// there before, or comes now, from another address has its records.
func TestProvidersByAddress(t *testing.T) {
	const all = 8000
	ctx, d := t.Context(), dht.NewSmallProviders(all, all)
	name := func(key, peer string) datastore.Key { return datastore.RawKey("/providers/" + key + "/" + peer) }
	kept := func(key, peer string) bool {
		has, err := d.Has(ctx, name(key, peer))
		return has && err == nil
	}
	put := func(key, peer string) {
		if err := d.Put(ctx, name(key, peer), []byte("now")); err != nil {
			t.Fatal(err)
		}
	}
	flood := func() {
		for i := range 3 * all {
			put(fmt.Sprintf("K%d", i), fmt.Sprintf("F%d@192.0.2.%d", i, i%16))
		}
		for i := range 3 * dht.PeersOfKeyMax {
			put("crowded", fmt.Sprintf("S%d@192.0.2.%d", i, i%16))
		}
	}
	put("crowded", "before@198.51.100.1")
	put("known's", "known@192.0.2.1")
	flood()
	put("crowded", "after@198.51.100.2")
	for i := range 20 {
		put(fmt.Sprintf("H%d", i), "honest@198.51.100.3")
	}
	flood()
	lost := 0
	for _, x := range [][2]string{{"crowded", "before@198.51.100.1"}, {"crowded", "after@198.51.100.2"}, {"known's", "known@192.0.2.1"}} {
		if !kept(x[0], x[1]) {
			t.Errorf("%s is not among the providers of %s", x[1], x[0])
		}
	}
	for i := range 20 {
		if !kept(fmt.Sprintf("H%d", i), "honest@198.51.100.3") {
			lost++
		}
	}
	if lost > 1 {
		t.Errorf("an honest peer has lost %d of 20 records", lost)
	}
	if said, kept := dht.Records(d); said != kept || kept > all*3/4+1 {
		t.Errorf("%d records are kept, %d counted", kept, said)
	}
	for i := range all {
		put(fmt.Sprintf("N%d", i), "known@192.0.2.1")
	}
	had := 0
	for i := range all {
		if kept(fmt.Sprintf("N%d", i), "known@192.0.2.1") {
			had++
		}
	}
	if had != all*3/4-1 { // and one of before
		t.Errorf("a known peer has %d records, want three quarters of all", had)
	}
}

// A search among the records of 20,000 keys.
func BenchmarkProviders(b *testing.B) {
	for _, store := range []struct {
		name string
		datastore.Batching
	}{{"floor=map", datastore.NewMapDatastore()}, {"providers", dht.NewProviders()}} {
		b.Run(store.name, func(b *testing.B) {
			for i := range 20_000 {
				store.Put(b.Context(), datastore.RawKey(fmt.Sprintf("/providers/K%d/P", i)), make([]byte, 10))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				found, err := store.Query(b.Context(), query.Query{Prefix: fmt.Sprintf("/providers/K%d", i%20_000)})
				if err != nil {
					b.Fatal(err)
				}
				if list, err := found.Rest(); len(list) != 1 || err != nil {
					b.Fatal(len(list), err)
				}
			}
		})
	}
}

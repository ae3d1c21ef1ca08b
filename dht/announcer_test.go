package dht_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dstackless/dstackless/dht"
)

const interval = 10 * time.Minute

// announcing runs an announcer until the test ends, in a bubble of synctest.
func announcing(t *testing.T, provide func(ctx context.Context, key dht.Key, others bool) error, test func(*dht.Announcer)) {
	synctest.Test(t, func(t *testing.T) {
		a := dht.NewAnnouncer(interval, provide)
		ctx, cancel := context.WithCancel(context.Background())
		var run sync.WaitGroup
		run.Go(func() { a.Run(ctx) })
		test(a)
		cancel()
		run.Wait()
		if _, underWay := a.Load(); underWay > 0 {
			t.Errorf("%d announcements outlive the announcer", underWay)
		}
	})
}

func keys(n int) []dht.Key {
	list := make([]dht.Key, n)
	for i := range list {
		list[i] = dht.KeyOf(fmt.Sprint("key ", i))
	}
	return list
}

// A diary notes what was announced and when.
type diary struct {
	mu   sync.Mutex
	keys []dht.Key
	at   []time.Time
}

func (d *diary) note(key dht.Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys, d.at = append(d.keys, key), append(d.at, time.Now())
}

// read returns what was noted since it was last read.
func (d *diary) read() ([]dht.Key, []time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	keys, at := d.keys, d.at
	d.keys, d.at = nil, nil
	return keys, at
}

func TestAnnounceManyAlone(t *testing.T) {
	const n = 10_000
	var told, noted, most, now atomic.Int64
	provide := func(ctx context.Context, key dht.Key, others bool) error {
		if !others {
			noted.Add(1)
			return nil
		}
		told.Add(1)
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(time.Second) // of the bubble: a search takes its time
		now.Add(-1)
		return nil
	}
	announcing(t, provide, func(a *dht.Announcer) {
		goroutines := runtime.NumGoroutine()
		for _, key := range keys(n) {
			a.Announce(key)
		}
		synctest.Wait()
		if got := runtime.NumGoroutine() - goroutines; got > 20 {
			t.Errorf("%d keys have %d goroutines", n, got)
		}
		time.Sleep(8 * time.Minute)
		if got := told.Load() + noted.Load(); got != 0 {
			t.Errorf("a peer alone has made %d announcements", got)
		}
		// It only sees to it that it does not forget its own keys.
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if told.Load() != 0 || noted.Load() != n {
			t.Errorf("after one interval a peer alone has told others of %d keys, and noted %d: want 0, %d", told.Load(), noted.Load(), n)
		}

		a.Join("somebody")
		synctest.Wait()
		if got := runtime.NumGoroutine() - goroutines; got > 20+dht.AnnouncingMax {
			t.Errorf("%d keys that are due have %d goroutines", n, got)
		}
		time.Sleep(interval - time.Second)
		synctest.Wait()
		if want := int64(interval / time.Second * dht.AnnouncingMax); told.Load() != want {
			t.Errorf("%d announcements of a second each began in %v, want %d", told.Load(), interval, want)
		}
		if got := most.Load(); got != dht.AnnouncingMax {
			t.Errorf("%d announcements were under way at a time, want %d", got, dht.AnnouncingMax)
		}
	})
}

func TestAnnounceEveryInterval(t *testing.T) {
	var d diary
	provide := func(ctx context.Context, key dht.Key, others bool) error { d.note(key); return nil }
	announcing(t, provide, func(a *dht.Announcer) {
		a.Join("somebody")
		begun := time.Now()
		stop := a.Announce(keys(1)[0])
		synctest.Wait()
		_, at := d.read()
		if len(at) != 1 || at[0] != begun {
			t.Fatalf("announced at %v, want at once, %v", at, begun)
		}
		last := at[0]
		for range 20 {
			time.Sleep(interval + interval/10)
			synctest.Wait()
			_, at := d.read()
			for _, at := range at {
				if pause := at.Sub(last); pause < interval-interval/10 || pause > interval+interval/10 {
					t.Errorf("announced again after %v", pause)
				}
				last = at
			}
			if len(at) == 0 {
				t.Errorf("not announced again within %v", interval+interval/10)
			}
		}
		stop()
		d.read()
		time.Sleep(2 * interval)
		if keys, _ := d.read(); len(keys) > 0 {
			t.Error("announced after it was stopped")
		}
		stop()
	})
}

func TestAnnounceInOrder(t *testing.T) {
	var d diary
	var release chan struct{}
	provide := func(ctx context.Context, key dht.Key, others bool) error {
		d.note(key)
		<-release
		return nil
	}
	all := keys(dht.AnnouncingMax + 50)
	block, rest := all[:dht.AnnouncingMax], all[dht.AnnouncingMax:]
	announcing(t, provide, func(a *dht.Announcer) {
		release = make(chan struct{})
		a.Join("somebody")
		for _, key := range block {
			a.Announce(key)
		}
		synctest.Wait()
		d.read()
		var stops []func()
		for _, key := range rest {
			stops = append(stops, a.Announce(key))
			time.Sleep(time.Second)
		}
		stops[7]()
		stops[len(stops)-1]()
		want := slices.Delete(slices.Clone(rest[:len(rest)-1]), 7, 8)
		for i, key := range want {
			release <- struct{}{}
			synctest.Wait()
			if got, _ := d.read(); len(got) != 1 || got[0] != key {
				t.Fatalf("announcement %d is of %v, want %v, which is the first that is due", i, got, key)
			}
		}
		close(release)
	})
}

func TestAnnounceStopsUnderWay(t *testing.T) {
	var broken, over atomic.Bool
	var finish chan struct{}
	provide := func(ctx context.Context, key dht.Key, others bool) error {
		<-ctx.Done()
		broken.Store(true)
		<-finish
		return ctx.Err()
	}
	announcing(t, provide, func(a *dht.Announcer) {
		finish = make(chan struct{})
		a.Join("somebody")
		stop := a.Announce(keys(1)[0])
		synctest.Wait()
		var stops sync.WaitGroup
		for range 2 {
			stops.Go(func() { stop(); over.Store(true) })
		}
		synctest.Wait()
		if !broken.Load() {
			t.Error("stop does not break off what is under way")
		}
		if over.Load() {
			t.Error("stop does not wait for what is under way")
		}
		close(finish)
		stops.Wait()
		synctest.Wait()
		if waiting, underWay := a.Load(); waiting+underWay > 0 {
			t.Errorf("%d wait and %d are under way after the only one was stopped", waiting, underWay)
		}
		stop()
	})
}

func TestAnnounceRetries(t *testing.T) {
	var d diary
	var works atomic.Bool
	provide := func(ctx context.Context, key dht.Key, others bool) error {
		d.note(key)
		if works.Load() {
			return nil
		}
		return errors.New("nobody answers")
	}
	announcing(t, provide, func(a *dht.Announcer) {
		a.Join("somebody")
		a.Announce(keys(1)[0])
		time.Sleep(7 * time.Minute)
		synctest.Wait()
		_, at := d.read()
		pause := dht.FirstRetryInterval
		for i := range at[1:] {
			if got := at[i+1].Sub(at[i]); got != pause {
				t.Errorf("retry %d comes after %v, want %v", i, got, pause)
			}
			pause = min(2*pause, dht.RetryIntervalMax)
		}
		if len(at) != 1+6+5 { // 1 to 32 seconds, then every minute
			t.Errorf("%d attempts in 7 minutes", len(at))
		}

		// Who comes after all have gone is told at once, and retries start anew.
		a.Leave("somebody")
		a.Join("somebody else")
		synctest.Wait()
		time.Sleep(2 * dht.FirstRetryInterval)
		synctest.Wait()
		if _, at = d.read(); len(at) != 2 || at[1].Sub(at[0]) != dht.FirstRetryInterval {
			t.Errorf("after the table filled: attempts at %v, want 2, %v apart", at, dht.FirstRetryInterval)
		}

		works.Store(true)
		time.Sleep(dht.RetryIntervalMax)
		d.read()
		time.Sleep(interval / 2)
		if _, at = d.read(); len(at) > 0 {
			t.Error("repeated after it succeeded")
		}
	})
}

func TestAnnounceAgainWhenTheTableFillsMeanwhile(t *testing.T) {
	var d diary
	var finish chan struct{}
	provide := func(ctx context.Context, key dht.Key, others bool) error {
		d.note(key)
		<-finish
		return nil
	}
	announcing(t, provide, func(a *dht.Announcer) {
		finish = make(chan struct{})
		a.Join("somebody")
		a.Announce(keys(1)[0])
		synctest.Wait()
		a.Leave("somebody")
		a.Join("somebody else")
		synctest.Wait()
		d.read()
		close(finish)
		synctest.Wait()
		if keys, _ := d.read(); len(keys) != 1 {
			t.Errorf("%d announcements after the one under way, want 1 for who has come", len(keys))
		}
	})
}

// What a key costs that waits for its next announcement.
func BenchmarkAnnounced(b *testing.B) {
	const n = 20_000
	list := keys(n)
	never := func(context.Context, dht.Key, bool) error { return nil }
	var before, after runtime.MemStats
	for range b.N {
		a := dht.NewAnnouncer(interval, never)
		stops := make([]func(), n)
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i, key := range list {
			stops[i] = a.Announce(key)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "bytes/key")
		for _, stop := range stops {
			stop()
		}
	}
}

package sandbox_test

import (
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// field returns a number of KiB that one of /proc/self's files tells, behind
// the line that begins with head.
func field(t testing.TB, file, head, name string) (kib int) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/" + file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut("\n"+string(data), "\n"+head)
	_, rest, found2 := strings.Cut(rest, "\n"+name+":")
	if _, err := fmt.Sscan(rest, &kib); !found || !found2 || err != nil {
		t.Fatalf("no %q, %q in %s: %v", head, name, file, err)
	}
	return kib
}

// A guest that waits has no more memory than it has written something to, and
// goes on. Nothing here reads a page that is not there: on some kernels that
// alone makes it resident. So pages are counted that are there, be it as the
// kernel's one page of zeros, which the resident size of a process may leave out.
func TestTrim(t *testing.T) {
	for _, kind := range append(slices.Collect(maps.Keys(sandbox.Shadows)), "no snapshot") {
		t.Run(kind, func(t *testing.T) {
			var out output
			i, err := guest(t, "sleep").New(sandbox.Config{Args: []string{"sleep", "1500ms"}, Output: out.write})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { i.Close() })
			if kind != "no snapshot" && i.SetShadow(kind) != nil {
				t.Skip("the system does not help")
			}
			if err := i.Start(); err != nil {
				t.Fatal(err)
			}
			rests(t, i)
			there, used := 0, 0
			if err := i.AtSafePoint(within(t), func(memory []byte) {
				from := (len(guest(t, "sleep").Image()) + 4095) / 4096
				for n, present := range presentPages(t, memory) {
					if n < from || !present {
						continue
					}
					there++
					if [4096]byte(memory[n*4096:]) != [4096]byte{} {
						used++
					}
				}
			}); err != nil {
				t.Fatal(err)
			}
			if used == 0 || there > used+16 { // it has run since
				t.Errorf("%d pages are there, %d used", there, used)
			}
			if status, err := wait(t, i); status != 0 || err != nil || !strings.HasSuffix(out.String(), "slept true true\n") {
				t.Errorf("status %d, %v, output %q", status, err, &out)
			}
		})
	}
}

// A page that its guest has cleared since the snapshot was brought up to date is
// told of, and not given back so that nobody sees that it changed.
func TestTrimAndSnapshot(t *testing.T) {
	for kind := range sandbox.Shadows {
		t.Run(kind, func(t *testing.T) {
			var out output
			i, err := guest(t, "sleep").New(sandbox.Config{Args: []string{"sleep", "1h"}, Output: out.write})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { i.Close() })
			if i.SetShadow(kind) != nil {
				t.Skip("the system does not help")
			}
			i.SetPatience(2 * time.Second)
			if err := i.Start(); err != nil {
				t.Fatal(err)
			}
			out.until(t, "asleep")
			var page uint32 // the last one, which the guest does not use
			fill := func(b byte) {
				if err := i.AtSafePoint(within(t), func(memory []byte) {
					page = uint32(len(memory)/sandbox.SnapshotPage - 1)
					for n := range memory[len(memory)-sandbox.SnapshotPage:] {
						memory[len(memory)-sandbox.SnapshotPage+n] = b
					}
				}); err != nil {
					t.Fatal(err)
				}
			}
			s, err := i.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			fill(1)
			if told, err := update(within(t), s); err != nil || !slices.Contains(told, page) {
				t.Fatalf("a page that was filled was not told of: %v", err)
			}
			fill(0)
			if i.Rests() {
				t.Skip("the machine was too slow: the guest rested before its page was cleared")
			}
			rests(t, i)
			if told, err := update(within(t), s); err != nil || !slices.Contains(told, page) {
				t.Errorf("a page that was cleared was not told of: %v", err)
			}
			if !s.Equal(page, make([]byte, sandbox.SnapshotPage)) {
				t.Error("the page is not zero")
			}
		})
	}
}

// A snapshot that the kernel helps with tells of no page that the guest has not
// touched: who is told of a page reads it.
func TestSnapshotTellsOfPagesThere(t *testing.T) {
	for _, kind := range []string{"tracked", "mapped"} {
		t.Run(kind, func(t *testing.T) {
			i, err := guest(t, "sleep").New(sandbox.Config{Args: []string{"sleep", "1h"}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { i.Close() })
			if i.SetShadow(kind) != nil {
				t.Skip("the system does not help")
			}
			if err := i.Start(); err != nil {
				t.Fatal(err)
			}
			rests(t, i)
			var there []bool
			if err := i.AtSafePoint(within(t), func(memory []byte) { there = presentPages(t, memory) }); err != nil {
				t.Fatal(err)
			}
			s, err := i.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			told, err := update(within(t), s)
			if err != nil || len(told) == 0 {
				t.Fatalf("%d pages, %v", len(told), err)
			}
			untouched := slices.DeleteFunc(told, func(n uint32) bool { return there[n] })
			if len(untouched) > 0 {
				t.Errorf("%d pages that are not there are told of, of %d that there could be", len(untouched), len(there))
			}
		})
	}
}

// presentPages returns which pages of a memory are there.
func presentPages(t *testing.T, memory []byte) []bool {
	t.Helper()
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Skip(err)
	}
	defer pagemap.Close()
	entries := make([]byte, len(memory)/4096*8)
	if _, err := pagemap.ReadAt(entries, int64(uintptr(unsafe.Pointer(&memory[0]))/4096*8)); err != nil {
		t.Fatal(err)
	}
	there := make([]bool, len(memory)/4096)
	for n := range there {
		there[n] = entries[n*8+7]&0x80 != 0
	}
	return there
}

// Guests that wait need no thread, and nobody is woken by them.
func TestIdleGuestsAreStill(t *testing.T) {
	const guests = 100
	threads := field(t, "status", "", "Threads")
	var out output
	var all []*sandbox.Instance
	for range guests {
		all = append(all, start(t, "sleep", sandbox.Config{Args: []string{"sleep", "1h"}, Output: out.write}))
	}
	for _, i := range all {
		rests(t, i)
	}
	if more := field(t, "status", "", "Threads") - threads; more > guests/4 {
		t.Errorf("%d threads more for %d guests", more, guests)
	}
	least := switches(t)
	for range 5 { // what else the process does comes and goes
		before := switches(t)
		time.Sleep(200 * time.Millisecond)
		least = min(least, switches(t)-before)
	}
	if least > 15 {
		t.Errorf("%d times a thread was woken, in 200 ms, with %d guests that wait", least, guests)
	}
	t.Logf("%d wake-ups in 200 ms", least)
}

// switches returns how often threads of this process have gone to sleep.
func switches(t *testing.T) (all int) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		all += field(t, "task/"+task.Name()+"/status", "", "voluntary_ctxt_switches")
	}
	return all
}

// BenchmarkIdle shows what a thousand guests need that wait.
func BenchmarkIdle(b *testing.B) {
	pss := func() int {
		debug.FreeOSMemory()
		return field(b, "smaps_rollup", "", "Pss")
	}
	rests(b, start(b, "idle", sandbox.Config{Args: []string{"idle"}}))
	for b.Loop() {
		before := pss()
		var all []*sandbox.Instance
		for range 1000 {
			all = append(all, start(b, "idle", sandbox.Config{Args: []string{"idle"}}))
		}
		for _, i := range all {
			rests(b, i)
		}
		b.ReportMetric(float64(pss()-before)/1024, "MiB/1000")
		for _, i := range all {
			i.Close()
		}
	}
}

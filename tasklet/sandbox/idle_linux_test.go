package sandbox_test

import (
	"fmt"
	"os"
	"runtime/debug"
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
// goes on.
func TestTrim(t *testing.T) {
	var out output
	i := start(t, "sleep", sandbox.Config{Args: []string{"sleep", "1500ms"}, Output: out.write})
	rests(t, i)
	var used int
	var head string
	if err := i.AtSafePoint(within(t), func(memory []byte) {
		from := len(guest(t, "sleep").Program().Image())
		head = fmt.Sprintf("%x-", uintptr(unsafe.Pointer(&memory[from])))
		for at := from; at < len(memory); at += 4096 {
			if [4096]byte(memory[at:at+4096]) != [4096]byte{} {
				used += 4
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if rss := field(t, "smaps", head, "Rss"); used == 0 || rss > used+64 { // it has run since
		t.Errorf("%d KiB are resident, %d used", rss, used)
	}
	if status, err := wait(t, i); status != 0 || err != nil || !strings.HasSuffix(out.String(), "slept true true\n") {
		t.Errorf("status %d, %v, output %q", status, err, &out)
	}
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

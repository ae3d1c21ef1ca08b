package tasklet_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/compiler"
	"github.com/dstackless/dstackless/tasklet/diskspace"
)

// variant returns a program with n in place of some letters in the name of one of
// its functions, so that it is another one.
func variant(t *testing.T, program string, n int) []byte {
	t.Helper()
	wasm := bytes.Clone(build(t, program))
	name := "runtime.gcenable"
	at := bytes.LastIndex(wasm, []byte(name)) // in the section of names
	if at < 0 {
		t.Fatalf("the program has no function %s", name)
	}
	copy(wasm[at+len(name)-4:], fmt.Sprintf("%04d", n))
	return wasm
}

// A program that takes too much to compile is refused with the name of the limit,
// its tasklet stays where it was, and nothing is kept of it.
func TestCompileLimits(t *testing.T) {
	ctx := within(t, patience)
	home := startPeer(t, tcp, nil)
	tl := spawn(ctx, t, home, "zoo", "forever")
	for limit, limits := range map[tasklet.LimitName]compiler.Options{
		tasklet.LimitCompileTime:   {Time: 50 * time.Millisecond},
		tasklet.LimitCompileMemory: {Memory: 32 << 20},
		tasklet.LimitPrograms:      {OfOnePeer: 1 << 20, IdleBytes: 1},
	} {
		o := &tasklet.Options{CacheDir: t.TempDir(), AcceptAny: true}
		tasklet.LimitCompiler(o, limits)
		host := must[*peer](t)(newPeer("", tcp, o))
		t.Cleanup(host.close)
		must[p2p.ID](t)(home.node.Connect(ctx, host.node.Addrs()[0]))
		if err := tl.Move(ctx, host.id()); !exceeds(err, limit, host) || !strings.Contains(err.Error(), look(t, tl).Program) {
			t.Errorf("%v, want an error of the limit on %s", err, limit)
		} else {
			t.Log(err)
		}
		if all := host.Programs(); len(all) > 0 {
			t.Errorf("%s: %v are kept", limit, all)
		}
	}
	if !home.Live(tl.ID()) {
		t.Error("the tasklet does not run any more")
	}
}

// A peer to which another offers one program after the other, and takes each offer
// back when the program is compiled, has no more in memory and in its folder than
// its limits allow.
func TestManyPrograms(t *testing.T) {
	program, count := "../compiler/testdata/small", 8
	idle, folder, grow := int64(12<<20), int64(24<<20), 48<<10
	if *long {
		program, count = "zoo", 100
		idle, folder, grow = compiler.IdleBytes, compiler.FolderBytes, 448<<10
	}
	ctx := within(t, patience+time.Duration(count)*30*time.Second)
	victim := &process{t: t, settings: processSettings{Cache: t.TempDir(), Listen: tcp, Idle: idle, Folder: folder}}
	victim.log = must[*os.File](t)(os.Create(filepath.Join(t.TempDir(), "log")))
	t.Cleanup(func() { victim.kill(); victim.log.Close() })
	victim.start()
	from := startPeer(t, tcp, nil)
	at := must[p2p.ID](t)(from.node.Connect(ctx, victim.addr))
	c := begun(good(), from.node)
	first := 0
	for n := range count {
		o := offerOf(c)
		o.Move, o.Program, o.Memory = [16]byte{byte(n)}, must[cid.Cid](t)(from.store.Add(ctx, variant(t, program, n))).String(), 1<<20
		stream := must[p2p.Stream](t)(from.node.Open(ctx, at, tasklet.Protocol))
		stream.SetDeadline(time.Now().Add(patience))
		s := &stranger{t, stream, bufio.NewReader(stream)}
		s.say(offered, o)
		for _, want := range []byte{welcome, ready} {
			if tag, body := s.hear(); tag != want {
				t.Fatalf("offer %d: message %d: %q", n, tag, body)
			}
		}
		stream.Reset()
		if n == 2 {
			first = residentOf(t, victim.cmd.Process.Pid)
		}
	}
	var size int64
	filepath.WalkDir(victim.settings.Cache, func(_ string, d fs.DirEntry, _ error) error {
		if info, err := d.Info(); err == nil && !d.IsDir() {
			size += info.Size()
		}
		return nil
	})
	last := residentOf(t, victim.cmd.Process.Pid)
	t.Logf("%d KiB are resident after 3 programs, %d after %d; %d KiB are in the folder", first, last, count, size>>10)
	if last-first > grow {
		t.Errorf("%d KiB are resident after %d programs, %d after 3", last, count, first)
	}
	if size > folder {
		t.Errorf("the folder has %d bytes, and may have %d", size, folder)
	}
}

// residentOf returns how many KiB of memory a process has.
func residentOf(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("the system does not tell how much memory a process has")
	}
	_, text, _ := strings.Cut(string(status), "VmRSS:")
	return must[int](t)(strconv.Atoi(strings.Fields(text)[0]))
}

// A program is in use as long as one of its tasklets is there, and a suspended one
// keeps its blocks, however little room there is.
func TestProgramsInUse(t *testing.T) {
	ctx := within(t, patience)
	home := startPeer(t, tcp, nil)
	dir := t.TempDir()
	host := must[*peer](t)(newPeer(dir, tcp, &tasklet.Options{DataDir: dir, CacheDir: cache, AcceptAny: true}))
	t.Cleanup(host.close)
	must[p2p.ID](t)(home.node.Connect(ctx, host.node.Addrs()[0]))
	one, two := spawn(ctx, t, home, "zoo", "forever"), spawn(ctx, t, home, "zoo", "forever")
	users := func() int {
		for _, i := range host.Programs() {
			return i.Users
		}
		return 0
	}
	for n, tl := range []*tasklet.Tasklet{one, two} {
		if err := tl.Move(ctx, host.id()); err != nil {
			t.Fatal(err)
		}
		if users() != n+1 {
			t.Errorf("%d tasklets, %v", n+1, host.Programs())
		}
	}
	if err := one.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if err := two.Suspend(ctx); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); users() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no tasklet runs, and %v are in use", host.Programs())
		}
	}
	program := must[cid.Cid](t)(cid.Decode(look(t, two).Program))
	if !slices.Contains(host.ProgramsInUse(), program) {
		t.Error("the program of a suspended tasklet may be removed")
	}
	if err := two.Resume(ctx); err != nil {
		t.Error(err)
	}
	if err := two.Kill(ctx); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(patience); len(host.ProgramsInUse()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no tasklet is left, and %v are in use", host.ProgramsInUse())
		}
	}
}

// On a disk that is nearly full nothing of others is taken in, and what is one's
// own goes on: it is started, suspended, resumed, and comes home.
func TestFullDisk(t *testing.T) {
	ctx := within(t, patience)
	var free atomic.Uint64
	free.Store(1 << 40)
	dir := t.TempDir()
	o := &tasklet.Options{DataDir: dir, CacheDir: cache, AcceptAny: true}
	tasklet.ProbeDisk(o, func(string) (uint64, error) { return free.Load(), nil })
	host := must[*peer](t)(newPeer(dir, tcp, o))
	t.Cleanup(host.close)
	other := startPeer(t, tcp, &tasklet.Options{AcceptAny: true})
	must[p2p.ID](t)(other.node.Connect(ctx, host.node.Addrs()[0]))
	abroad := spawn(ctx, t, host, "zoo", "forever")
	if err := abroad.Move(ctx, other.id()); err != nil {
		t.Fatal(err)
	}
	foreign := spawn(ctx, t, other, "zoo", "forever")

	free.Store(diskspace.Reserve - 1)
	err := foreign.Move(ctx, host.id())
	if !errors.Is(err, tasklet.ErrRefused) || !strings.Contains(err.Error(), diskspace.ErrLow.Error()) {
		t.Errorf("on a disk that is nearly full: %v", err)
	}
	if !other.Live(foreign.ID()) {
		t.Error("the tasklet that was refused does not run any more")
	}
	own := spawn(ctx, t, host, "zoo", "forever")
	if err := errors.Join(own.Suspend(ctx), own.Resume(ctx), abroad.Move(ctx, host.id())); err != nil {
		t.Errorf("one's own: %v", err)
	}
	if err := own.Move(ctx, other.id()); err != nil {
		t.Errorf("away: %v", err)
	}
	free.Store(1 << 40)
	if err := foreign.Move(ctx, host.id()); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

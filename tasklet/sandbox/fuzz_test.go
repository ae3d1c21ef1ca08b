package sandbox_test

import (
	"encoding/binary"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dstackless/dstackless/tasklet/abi"
	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// scratch is where in a guest's memory the tests of host calls keep what
// pointers point to.
const scratch = 1 << 10

// A victim is a guest that does not run but calls.
type victim struct {
	*sandbox.Instance
	calls, written int
}

func (v *victim) Call(sandbox.Call) { v.calls++ }

func newVictim(t testing.TB) *victim {
	t.Helper()
	v := new(victim)
	i, free, err := sandbox.NewVictim(4*program.PageSize, sandbox.Config{
		Args:   []string{"program", "", "argument"},
		Output: func(p []byte) { v.written += len(p) },
		Calls:  v,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(free)
	v.Instance = i
	return v
}

// errnos are all that host functions return; take returns a length.
var errnos = []uint32{0, 8, 21, 28, 42, 44, 52, 54, 57, 58, 70}

// call makes a host call and checks what can be checked of any.
func (v *victim) call(t testing.TB, imp program.Import, args []uint64) (errno uint32) {
	t.Helper()
	size, written := len(v.Memory()), v.written
	errno, ended := v.HostCall(imp, args)
	switch {
	case ended && imp.Name != "proc_exit" && imp.Name != "poll_oneoff":
		t.Errorf("%s%x ended the guest", imp.Name, args)
	case imp.Name == abi.Take && errno != abi.Idle && int(errno) > size, imp.Name != abi.Take && !slices.Contains(errnos, errno):
		t.Errorf("%s%x returned %d", imp.Name, args, errno)
	case v.written > written && (imp.Name != "fd_write" || v.written > written+1<<20):
		t.Errorf("%s%x wrote %d bytes", imp.Name, args, v.written-written)
	case len(v.Memory()) != size:
		t.Errorf("%s%x changed the size of memory", imp.Name, args)
	}
	return errno
}

// Every host function is called with every kind of wrong number in every
// place.
func TestEveryHostCall(t *testing.T) {
	v := newVictim(t)
	size := uint64(len(v.Memory()))
	kinds := []uint64{
		0, 1, 3, scratch, scratch + 1, size - 16, size - 8, size - 4, size - 1, size, size + 1, 2 * size,
		1<<31 - 1, 1 << 31, 1<<32 - 8, 1<<32 - 4, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1,
		abi.Descriptor, 1024, 1025, 1 << 16, 1<<16 + 1, size / 48, size / 8,
	}
	calls := 0
	for _, imp := range sandbox.HostFuncs() {
		for place := range sandbox.HostParams(imp) {
			for _, wrong := range kinds {
				for second := place; second < sandbox.HostParams(imp); second++ {
					for _, other := range []uint64{size - 1, 1<<32 - 1, 2} {
						args := []uint64{1, scratch, 1, scratch, scratch, scratch, scratch, scratch, scratch}
						args[second] = other
						args[place] = wrong
						clear(v.Memory()[scratch : scratch+64])
						v.call(t, imp, args)
						calls++
					}
				}
			}
		}
	}
	t.Logf("%d calls of %d functions", calls, len(sandbox.HostFuncs()))
}

// FuzzHostCalls makes calls of a host function, with memory and arguments of the
// fuzzer's.
func FuzzHostCalls(f *testing.F) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzHostCalls/*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("there is no corpus in testdata/fuzz/FuzzHostCalls: %v", err)
	}
	imports := sandbox.HostFuncs()
	for n := range imports {
		f.Add(byte(n), []byte{1, 0, 0, 0, scratch >> 8 & 0xff}, []byte("\x00\x04\x00\x00\xff\xff\xff\xff"))
	}
	v := newVictim(f)
	f.Fuzz(func(t *testing.T, which byte, numbers, memory []byte) {
		copy(v.Memory()[scratch:], memory)
		var args []uint64
		for len(numbers) > 0 && len(args) < 9 {
			var word [8]byte
			n := copy(word[:4], numbers)
			numbers = numbers[n:]
			args = append(args, uint64(int64(int32(binary.LittleEndian.Uint32(word[:])))))
		}
		v.call(t, imports[int(which)%len(imports)], args)
	})
}

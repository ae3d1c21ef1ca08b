// Reports does what people reported to fail in other hosts of WebAssembly. See
// docs/tried.md. It prints one line for each report.
package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"
)

//go:wasmimport wasi_snapshot_preview1 poll_oneoff
func pollOneoff(in, out unsafe.Pointer, subscriptions uint32, events unsafe.Pointer) uint32

//go:wasmimport wasi_snapshot_preview1 fd_write
func fdWrite(fd uint32, vectors unsafe.Pointer, count uint32, written unsafe.Pointer) uint32

// A subscription is one to a clock or a descriptor, as WASI preview 1 has it.
type subscription struct {
	user      uint64
	kind      uint8 // 0: clock, 2: descriptor that can be written
	_         [7]byte
	id        uint32 // of the clock, or the descriptor
	_         uint32
	timeout   uint64
	precision uint64
	flags     uint16 // 1: the timeout is absolute
	_         [6]byte
}

const (
	realtime, monotonic = 0, 1
	invalid             = 28
)

// poll polls and returns the error, the number of events, and how long it took.
func poll(subscriptions ...subscription) (errno, events uint32, took time.Duration) {
	in := make([]subscription, 4)
	copy(in, subscriptions)
	out := make([][32]byte, 4)
	began := time.Now()
	errno = pollOneoff(unsafe.Pointer(&in[0]), unsafe.Pointer(&out[0]), uint32(len(subscriptions)), unsafe.Pointer(&events))
	return errno, events, time.Since(began)
}

func check(report string, right bool, what ...any) {
	if !right {
		fmt.Println(report, "FAILED", fmt.Sprint(what...))
		os.Exit(1)
	}
	fmt.Println(report, "ok")
}

func main() {
	for range 20 {
		runtime.GC()
	}
	check("garbage collection polls", true)

	errno, events, took := poll(subscription{kind: 0, id: monotonic})
	check("timeout of 0", errno == 0 && events == 1 && took < 5*time.Second, errno, events, took)

	errno, events, took = poll(subscription{kind: 0, id: realtime, timeout: 1, flags: 1})
	check("timeout in the past", errno == 0 && events == 1 && took < 5*time.Second, errno, events, took)

	errno, events, took = poll(subscription{id: monotonic, timeout: uint64(time.Hour)}, subscription{id: monotonic, timeout: uint64(50 * time.Millisecond)})
	check("the first of two timeouts", errno == 0 && events == 1 && took >= 50*time.Millisecond && took < time.Minute, errno, events, took)

	errno, events, took = poll(subscription{kind: 2, id: 1})
	check("no timeout", errno == 0 && events == 1 && took < 5*time.Second, errno, events, took)

	errno, _, took = poll()
	check("nothing to poll", errno == invalid && took < 5*time.Second, errno, took)

	errno, events, took = poll(subscription{id: 99, timeout: uint64(time.Hour)})
	check("a clock that there is none of", errno == 0 && events == 1 && took < time.Minute, errno, events, took)

	text := []byte("first\nsecond\n")
	vectors := [2][2]uint32{{uint32(uintptr(unsafe.Pointer(&text[0]))), 6}, {uint32(uintptr(unsafe.Pointer(&text[6]))), 7}}
	var written uint32
	errno = fdWrite(1, unsafe.Pointer(&vectors[0]), 2, unsafe.Pointer(&written))
	check("a write of two pieces", errno == 0 && written == 13, errno, written)

	much := make([]byte, 64<<20)
	_, err := rand.Read(much)
	check("64 MiB of random bytes", err == nil && much[len(much)-1]|much[len(much)-2]|much[len(much)-3]|much[len(much)-4] != 0, err)
	much = nil

	sum := 0
	for i := range 100 {
		b := make([]byte, 32<<20)
		b[i] = 1
		sum += int(b[i])
	}
	check("memory that is freed is used again", sum == 100)
}

package main

import (
	"fmt"
	"os"
	"unsafe"
)

//go:wasmimport dstackless submit
func submit(id uint64, kind uint32, payload unsafe.Pointer, length uint32) uint32

//go:wasmimport dstackless take
func take(buffer unsafe.Pointer, length uint32) uint32

//go:wasmimport dstackless submit
func submitAt(id uint64, kind, payload, length uint32) uint32

//go:wasmimport dstackless take
func takeAt(buffer, length uint32) uint32

//go:wasmimport wasi_snapshot_preview1 args_get
func argsGet(argv, buf uint32) uint32

//go:wasmimport wasi_snapshot_preview1 args_sizes_get
func argsSizesGet(n, size uint32) uint32

//go:wasmimport wasi_snapshot_preview1 environ_sizes_get
func environSizesGet(n, size uint32) uint32

//go:wasmimport wasi_snapshot_preview1 clock_time_get
func clockTimeGet(id uint32, precision uint64, time uint32) uint32

//go:wasmimport wasi_snapshot_preview1 random_get
func randomGet(buf, length uint32) uint32

//go:wasmimport wasi_snapshot_preview1 poll_oneoff
func pollOneoff(in, out, n, events uint32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_write
func fdWrite(fd, iovs, n, written uint32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_read
func fdRead(fd, iovs, n, read uint32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_fdstat_get
func fdstatGet(fd, stat uint32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_filestat_get
func filestatGet(fd, stat uint32) uint32

//go:wasmimport wasi_snapshot_preview1 path_open
func pathOpen(fd, flags, path, pathLen, oflags uint32, rights, inherit uint64, fdflags, fd2 uint32) uint32

func hostile() {
	const top = 1<<32 - 4
	iov := [2]uint32{top, 100}
	at := uint32(uintptr(unsafe.Pointer(&iov)))
	for _, bad := range []uint32{1<<32 - 1, top, 1 << 31, 0xfffff000} {
		for what, errno := range map[string]uint32{
			"submit": submitAt(1, 0, bad, 100), "submit length": submitAt(1, 0, 4096, bad),
			"args": argsGet(bad, 4096), "args buffer": argsGet(4096, bad), "sizes": argsSizesGet(bad, bad),
			"environ": environSizesGet(bad, bad), "clock": clockTimeGet(1, 0, bad),
			"random": randomGet(bad, 16), "random length": randomGet(4096, bad),
			"poll in": pollOneoff(bad, at, 1, at), "poll out": pollOneoff(at, bad, 1, at),
			"write": fdWrite(1, bad, 1, at), "write vector": fdWrite(1, at, 1, at), "read": fdRead(0, at, 1, bad),
			"fdstat": fdstatGet(1, bad), "filestat": filestatGet(1, bad),
		} {
			if errno != 21 {
				fmt.Println(what, bad, errno)
			}
		}
		for what, errno := range map[string]uint32{
			"poll many": pollOneoff(4096, 4096, bad, 4096), "write many": fdWrite(1, 4096, bad, 4096),
			"clock id": clockTimeGet(bad, 0, 4096), "poll none": pollOneoff(4096, 4096, 0, 4096), "id 0": submitAt(0, 0, 4096, 0),
		} {
			if errno != 28 {
				fmt.Println(what, bad, errno)
			}
		}
		for what, errno := range map[string]uint32{
			"write fd": fdWrite(bad, at, 1, at), "read fd": fdRead(bad, at, 1, at), "open": pathOpen(3, 0, 4096, 1, 0, 0, 0, 0, at),
		} {
			if errno != 8 {
				fmt.Println(what, bad, errno)
			}
		}
		if n := takeAt(bad, 100); n != 0 {
			fmt.Println("take", bad, n)
		}
	}
}

// raw makes requests of its host without any help, good ones and bad
// ones.
func raw() {
	switch os.Args[1] {
	case "hostile":
		hostile()
		_, err := os.Open("/etc/passwd")
		_, err2 := os.ReadFile("x")
		n, err3 := os.Stdin.Read(make([]byte, 1))
		fmt.Println("done", err != nil, err2 != nil, n, err3)
	case "ask": // as many requests as there may be, and some more
		payload := []byte("question")
		for id := uint64(1); ; id++ {
			if errno := submit(id, 7, unsafe.Pointer(&payload[0]), uint32(len(payload))); errno != 0 {
				fmt.Println("request", id, "refused with", errno)
				break
			}
		}
		fmt.Println("twice:", submit(1, 7, nil, 0))
	case "large":
		payload := make([]byte, 40<<20)
		fmt.Println(submit(1, 0, unsafe.Pointer(&payload[0]), uint32(len(payload))), submit(2, 0, unsafe.Pointer(&payload[0]), uint32(len(payload))))
	}
	if os.Args[1] == "echo" || os.Args[1] == "flood" {
		echo()
	}
}

// echo asks three times and prints what it is told, whenever that may be.
func echo() {
	for id := uint64(1); id <= 3; id++ {
		payload := fmt.Appendf(nil, "question %d", id)
		submit(id, uint32(id), unsafe.Pointer(&payload[0]), uint32(len(payload)))
	}
	fmt.Println("asked")
	conn, err := os.NewFile(1<<20, "host").SyscallConn()
	if err != nil {
		panic(err)
	}
	var got []byte
	buf := make([]byte, 10)
	err = conn.Read(func(uintptr) bool {
		for {
			n := take(unsafe.Pointer(&buf[0]), uint32(len(buf)))
			if n == 0 || n == 1<<32-1 {
				return false
			}
			got = append(got, buf[:n]...)
			for len(got) >= 12 && len(got) >= 12+int(got[8]) {
				if id := got[0]; id != 0 {
					fmt.Printf("%d %s\n", id, got[12:12+int(got[8])])
					if id == 3 {
						return true
					}
				}
				got = got[12+int(got[8]):]
			}
		}
	})
	fmt.Println("done", err)
}

package guest

import (
	"os"
	"unsafe"

	"github.com/dstackless/dstackless/tasklet/abi"
)

//go:wasmimport dstackless submit
//go:noescape
func hostSubmit(id uint64, kind uint32, payload unsafe.Pointer, length uint32) (errno uint32)

//go:wasmimport dstackless take
//go:noescape
func hostTake(buffer unsafe.Pointer, length uint32) (n uint32)

func submit(id uint64, kind abi.Kind, payload []byte) (errno uint32) {
	return hostSubmit(id, kind, unsafe.Pointer(unsafe.SliceData(payload)), uint32(len(payload)))
}

func take(buffer []byte) (n uint32) {
	return hostTake(unsafe.Pointer(unsafe.SliceData(buffer)), uint32(len(buffer)))
}

// read starts the goroutine that takes replies whenever there are some and the
// program has nothing else to do.
func (l *link) read() error {
	conn, err := os.NewFile(abi.Descriptor, "host").SyscallConn()
	if err != nil {
		return err
	}
	go conn.Read(func(uintptr) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.drain()
		return false // wait, and again
	})
	return nil
}

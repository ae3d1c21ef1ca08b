package output

import (
	"fmt"
	"sync"
	"time"

	"github.com/dstackless/dstackless/tasklet/journal"
)

// A Buffer holds the last bytes of a tasklet's output. A byte keeps its position
// when older ones are dropped, so each reader knows how far it has come. A Buffer
// is safe for concurrent use.
type Buffer struct {
	limit int // bytes; more are kept, up to a quarter, until the oldest are dropped

	mu        sync.Mutex    // guards what follows
	disk      *journal.Text // nil: only memory has it
	fail      func(error)   // called once if the disk fails
	stored    int           // bytes on disk
	rewritten time.Time     // when the file was last replaced
	behind    bool          // the file lacks what came since

	base    int64 // position of the first byte of data
	data    []byte
	closed  bool
	changed chan struct{} // closed at a change; nil while nobody waits
	hear    func()        // called at a change
}

// New returns an empty buffer of limit bytes.
func New(limit int) *Buffer { return &Buffer{limit: limit} }

// Restore makes a new buffer hold data, whose first byte has the position base. The
// buffer owns data from then on.
func (o *Buffer) Restore(base int64, data []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.base, o.data = base, data
}

// Persist has the buffer keep its bytes in a file, too, which already has those of
// the buffer. When the disk fails the file stays what it is, and fail is called.
func (o *Buffer) Persist(file *journal.Text, fail func(error)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.disk, o.fail, o.stored = file, fail, len(o.data)
}

// Write appends p, and drops the oldest bytes if there are too many.
func (o *Buffer) Write(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data = append(o.data, p...)
	if over := len(o.data) - o.limit; over > o.limit/4 {
		o.data = append([]byte(nil), o.data[over:]...)
		o.base += int64(over)
	}
	o.persist(p)
	o.signal()
}

// rewriteInterval is the shortest time between two replacements of a file that has
// more than the limit and a quarter. Until then new bytes are only in memory.
const rewriteInterval = 10 * time.Second

// persist writes p to disk.
func (o *Buffer) persist(p []byte) {
	switch {
	case o.disk == nil:
	case !o.behind && o.stored+len(p) <= o.limit+o.limit/4:
		o.stored += len(p)
		o.checkDisk(o.disk.Append(p))
	case time.Since(o.rewritten) >= rewriteInterval:
		o.rewrite()
	default:
		o.behind = true
	}
}

// rewrite replaces the file by what is in memory.
func (o *Buffer) rewrite() {
	o.stored, o.rewritten, o.behind = len(o.data), time.Now(), false
	o.checkDisk(o.disk.Replace(o.base, o.data))
}

// checkDisk closes the file after an error. What is in it stays.
func (o *Buffer) checkDisk(err error) {
	if err != nil {
		o.disk.Close()
		o.disk = nil
		o.fail(err)
	}
}

// CloseFile writes what the file lacks, and closes it.
func (o *Buffer) CloseFile() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.disk != nil && o.behind {
		o.rewrite()
	}
	if o.disk != nil {
		o.disk.Close()
		o.disk = nil
	}
}

func (o *Buffer) signal() {
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	if o.hear != nil {
		o.hear()
	}
}

// Close marks the end of the output. What is there can still be read.
func (o *Buffer) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.signal()
}

// Trim drops the bytes before the position to, because the reader has them.
func (o *Buffer) Trim(to int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := to - o.base; n > 0 && n <= int64(len(o.data)) {
		o.data = o.data[n:]
		o.base = to
	}
}

// Size returns the number of bytes held.
func (o *Buffer) Size() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return uint64(len(o.data))
}

// End returns the position after the last byte.
func (o *Buffer) End() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.base + int64(len(o.data))
}

// Tail returns a copy of the bytes held, and the position of the first.
func (o *Buffer) Tail() (base int64, data []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.base, append([]byte(nil), o.data...)
}

// readMaxBytes bounds what one read returns.
const readMaxBytes = 64 << 10

// NextChange returns a channel that is closed at the next change of the output, or
// by the next call of notify.
func (o *Buffer) NextChange() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.changed
}

// OnChange has f called at each change. It must neither block nor use the buffer.
func (o *Buffer) OnChange(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hear = f
}

// Notify wakes all who wait: something else about the tasklet has changed.
func (o *Buffer) Notify() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.signal()
}

// Read returns bytes from the position from on, at most 64 KiB, and the position of
// the first, which is later if some were lost. Over says that there are none, and
// that none will come.
func (o *Buffer) Read(from int64) (at int64, data []byte, over bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at = max(from, o.base)
	rest := o.data[min(at-o.base, int64(len(o.data))):]
	return at, append(data, rest[:min(len(rest), readMaxBytes)]...), o.closed && len(rest) == 0
}

// LostNotice is the text that stands in place of n bytes that nobody kept.
func LostNotice(n int64) []byte { return fmt.Appendf(nil, "[%d bytes of output are lost]\n", n) }

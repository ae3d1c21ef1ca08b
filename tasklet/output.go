package tasklet

import (
	"fmt"
	"sync"
	"time"

	"github.com/dstackless/dstackless/tasklet/journal"
)

const (
	// MaxUnread is how much output a host keeps for the peer that started a
	// tasklet and cannot be reached: 4 MiB. What is older is lost.
	MaxUnread = 4 << 20
	// MaxOutput is how much of a tasklet's output the peer that started it
	// keeps: 64 MiB. What is older is lost.
	MaxOutput = 64 << 20
)

// An output is the end of what a tasklet wrote, of which readers know how far
// they came. It is safe for concurrent use.
type output struct {
	limit int
	disk  *journal.Text // where it is kept, if it is
	fail  func(error)   // told when the disk fails

	stored    int       // bytes on disk
	rewritten time.Time // when the file was last written anew
	behind    bool      // the file lacks what came since

	mu      sync.Mutex
	base    int64 // position of the first byte of data
	data    []byte
	closed  bool
	changed chan struct{} // closed at a change; nil while nobody waits
	hear    func()        // called at a change; it must neither block nor use the output
}

func newOutput(limit int) *output { return &output{limit: limit} }

// write appends p.
func (o *output) write(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data = append(o.data, p...)
	if over := len(o.data) - o.limit; over > o.limit/4 {
		o.data = append([]byte(nil), o.data[over:]...)
		o.base += int64(over)
	}
	o.keep(p)
	o.signal()
}

// rewritePause is how often the file is written anew at most, in which there is
// more than the limit and a quarter. What comes until then is only in memory.
const rewritePause = 10 * time.Second

// keep brings to disk what was written.
func (o *output) keep(p []byte) {
	switch {
	case o.disk == nil:
	case !o.behind && o.stored+len(p) <= o.limit+o.limit/4:
		o.stored += len(p)
		o.check(o.disk.Append(p))
	case time.Since(o.rewritten) >= rewritePause:
		o.rewrite()
	default:
		o.behind = true
	}
}

// rewrite makes the file what is in memory.
func (o *output) rewrite() {
	o.stored, o.rewritten, o.behind = len(o.data), time.Now(), false
	o.check(o.disk.Replace(o.base, o.data))
}

// check gives the disk up when it fails: what was kept before stays.
func (o *output) check(err error) {
	if err != nil {
		o.disk.Close()
		o.disk = nil
		o.fail(err)
	}
}

// closeDisk ends the keeping on disk.
func (o *output) closeDisk() {
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

func (o *output) signal() {
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	if o.hear != nil {
		o.hear()
	}
}

// close ends the output; what is there can still be read.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.signal()
}

// trim drops what is before the position to, because its reader has it.
func (o *output) trim(to int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := to - o.base; n > 0 && n <= int64(len(o.data)) {
		o.data = o.data[n:]
		o.base = to
	}
}

// size returns how many bytes there are.
func (o *output) size() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return uint64(len(o.data))
}

// end returns the position behind the last byte.
func (o *output) end() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.base + int64(len(o.data))
}

// tail returns what is there, and its position.
func (o *output) tail() (base int64, data []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.base, append([]byte(nil), o.data...)
}

// maxRead bounds what one read returns.
const maxRead = 64 << 10

// changes returns a channel that is closed at the next change of the output, or
// of the tasklet's state.
func (o *output) changes() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.changed
}

// listen has hear called at each change.
func (o *output) listen(hear func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hear = hear
}

// note tells those who wait that something else has changed.
func (o *output) note() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.signal()
}

// read returns bytes that follow the position from, and the position of the
// first of them, which is later if some were lost. Over says that there are
// none, and will be none.
func (o *output) read(from int64) (at int64, data []byte, over bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at = max(from, o.base)
	rest := o.data[min(at-o.base, int64(len(o.data))):]
	return at, append(data, rest[:min(len(rest), maxRead)]...), o.closed && len(rest) == 0
}

// lostNote stands in an output for n bytes that nobody kept.
func lostNote(n int64) []byte { return fmt.Appendf(nil, "[%d bytes of output are lost]\n", n) }

package tasklet_test

import (
	"bufio"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// An accepted peer brings tasklets, ten with -long, each with 8 MiB of memory and replies of
// 60 MiB that nobody has read, to one that holds 100 MiB for it. What the process
// takes stays in proportion to that limit, and its journal, also after a restart.
func TestHeldByAProcess(t *testing.T) {
	const (
		limit   = 100 << 20
		grow    = 12 * limit >> 10 // KiB: most is garbage of messages that are read before they are refused
		journal = 3 * limit
	)
	count := 3
	if *long {
		count = 10
	}
	ctx := within(t, patience)
	dir := t.TempDir()
	victim := &process{t: t, settings: processSettings{Dir: dir, Data: dir, Cache: cache, Listen: tcp, Held: limit}}
	victim.log = must[*os.File](t)(os.Create(filepath.Join(dir, "log")))
	t.Cleanup(func() { victim.kill(); victim.log.Close() })
	victim.start()
	from := startPeer(t, tcp, nil)
	at := must[p2p.ID](t)(from.node.Connect(ctx, victim.addr))
	program := must[cid.Cid](t)(from.store.Add(ctx, build(t, "zoo"))).String()
	begin := func(n int) (*stranger, tasklet.Continuation, bool) {
		id, claim := tasklet.NewClaim(from.node)
		stream := must[p2p.Stream](t)(from.node.Open(ctx, at, tasklet.Protocol))
		stream.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { stream.Reset() })
		s := &stranger{t, stream, bufio.NewReader(stream)}
		s.say(offered, offer{ID: id, Move: [16]byte{byte(n)}, Program: program, Origin: from.id(), Memory: 8 << 20, Claim: claim})
		c := good()
		c.ID, c.Claim, c.Origin, c.Program = id, claim, from.id(), program
		c.Memory, c.State.Pages, c.State.Calls = tasklet.PageList{Size: 8 << 20}, 8<<4, nil
		c.State.Inbox = make([]byte, 60<<20)
		for range 2 {
			if tag, _ := s.hear(); tag == failure {
				return s, c, false
			}
		}
		return s, c, true
	}
	first, c, ok := begin(0)
	if !ok {
		t.Fatal("nothing is taken")
	}
	before := residentOf(t, victim.cmd.Process.Pid)
	peak := before
	look := func() { peak = max(peak, residentOf(t, victim.cmd.Process.Pid)) }
	first.say(frozen, &c)
	came, id := 0, tasklet.ID("")
	for n := 1; ; n++ {
		if ok {
			if tag, _ := first.hear(); tag == prepared { // and its source says nothing more
				came, id = came+1, c.ID
			}
		}
		look()
		if n == count {
			break
		}
		if first, c, ok = begin(n); ok {
			go first.sayBytes(frozen, marshal(t, &c))
		}
	}
	size := func() int64 {
		return must[os.FileInfo](t)(os.Stat(filepath.Join(dir, "tasklets", "journal.db"))).Size()
	}
	t.Logf("%d of %d came; %d KiB were resident before, %d at most; the journal has %d KiB", came, count, before, peak, size()>>10)
	if came != 1 {
		t.Errorf("%d came", came)
	}
	if peak-before > grow {
		t.Errorf("%d KiB are resident, %d before", peak, before)
	}
	if size() > journal {
		t.Errorf("the journal has %d bytes", size())
	}
	victim.kill()
	victim.start()
	peak = 0
	a := must[answer](t)(victim.ask(ctx, "info", string(id)))
	if a.Info == nil || a.Info.State != tasklet.Prepared {
		t.Errorf("after the restart: %+v", a.Info)
	}
	look()
	if peak-before > grow {
		t.Errorf("after the restart %d KiB are resident, %d before", peak, before)
	}
}

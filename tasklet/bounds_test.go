package tasklet_test

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// offerProgram offers a tasklet of a program by hand, and gets as far as its pages.
func offerProgram(t *testing.T, from *p2p.Node, victim *peer, program string, memory uint64) *stranger {
	t.Helper()
	id, claim := tasklet.NewClaim(from)
	s := knock(t, from, victim)
	s.say(offered, offer{ID: id, Move: [16]byte{1}, Program: program, Origin: from.ID().String(), Memory: memory, Claim: claim})
	for _, want := range []byte{welcome, ready} {
		if tag, body := s.hear(); tag != want {
			t.Fatalf("message %d, %q", tag, body)
		}
	}
	return s
}

// logSize is how many bytes of pages are in a data folder.
func logSize(t *testing.T, dir string) (size int64) {
	t.Helper()
	for _, f := range must[[]string](t)(filepath.Glob(filepath.Join(dir, "tasklets", "pages", "*"))) {
		if info, err := os.Stat(f); err == nil {
			size += info.Size()
		}
	}
	return size
}

// An accepted peer that sends pages without end fills no disk: the log has two
// records of each page at most, and after as many rounds as a move has it is
// refused.
func TestPagesWithoutEnd(t *testing.T) {
	dir := t.TempDir()
	victim := startAt(t, dir, tcp)
	from := rawNode(t, victim)
	program := look(t, spawn(within(t, patience), t, victim, "zoo", "forever")).Program
	const memory = 8 << 20
	s := offerProgram(t, from, victim, program, memory)
	packer := must[*zstd.Encoder](t)(zstd.NewWriter(nil))
	defer packer.Close()
	largest, sent := int64(0), 0
	own := logSize(t, dir)
	const rounds = 22 // as many as are allowed
	for round := range rounds + 1 {
		list := tasklet.PageList{Size: memory}
		for i := range uint32(memory / 4096) {
			list.Index = append(list.Index, i)
		}
		s.say(pages, &list)
		if round == rounds {
			break
		}
		for n := len(list.Index); n > 0; n -= 60 {
			s.sayBytes(data, packer.EncodeAll(bytes.Repeat([]byte{byte(round)}, 4096*min(n, 60)), nil))
		}
		sent += memory
		largest = max(largest, logSize(t, dir)-own)
	}
	s.refused(string(tasklet.LimitPages))
	largest = max(largest, logSize(t, dir)-own)
	t.Logf("%d MiB were sent, the logs had %d MiB at most", sent>>20, largest>>20)
	if largest > 4*memory { // while it is replaced there are two logs
		t.Errorf("the logs had %d bytes", largest)
	}
}

// Whether a page is in the memory of the tasklets that one peer started, another's
// cannot find out.
func TestPagesAreOfTheirOrigin(t *testing.T) {
	victim := startPeer(t, tcp, &tasklet.Options{AcceptAny: true})
	one, other := rawNode(t, victim), rawNode(t, victim)
	program := look(t, spawn(within(t, patience), t, victim, "zoo", "forever")).Program
	secret := bytes.Repeat([]byte("PIN 4711"), 512)
	hash := sha256.Sum256(secret)
	list := tasklet.PageList{Size: 8 << 20, Index: []uint32{100}, Hashes: hash[:]}
	for n, c := range []struct {
		from *p2p.Node
		want byte
	}{{one, 1}, {one, 0}, {other, 1}, {other, 0}} {
		s := offerProgram(t, c.from, victim, program, 8<<20)
		s.say(pages, &list)
		tag, body := s.hear()
		if tag != need || len(body) != 1 || body[0] != c.want {
			t.Fatalf("attempt %d: message %d %v; want %d", n, tag, body, c.want)
		}
		if c.want == 1 {
			s.sayBytes(raw, secret)
		}
		s.sayBytes(200, nil)
		s.refused("message 200")
	}
}

// What tasklets make a peer hold beside their memory is charged to who brought
// them: replies that nobody has read, and requests without reply.
func TestAllThatIsHeldIsCharged(t *testing.T) {
	for name, fill := range map[string]func(c *tasklet.Continuation){
		"replies": func(c *tasklet.Continuation) { c.State.Inbox = make([]byte, 60<<20) },
		"payloads": func(c *tasklet.Continuation) {
			c.State.Calls = []sandbox.Call{{ID: 1, Kind: 99, Payload: make([]byte, 60<<20)}}
		},
		"requests": func(c *tasklet.Continuation) {
			c.State.Calls = make([]sandbox.Call, sandbox.MaxCalls)
			for n := range c.State.Calls {
				c.State.Calls[n] = sandbox.Call{ID: uint64(n + 1), Kind: 99, Payload: make([]byte, 8<<10)}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			victim := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Limits: tasklet.Limits{Continuations: 100 << 20}})
			from := rawNode(t, victim)
			program := look(t, spawn(within(t, patience), t, victim, "zoo", "forever")).Program
			for n, want := range []byte{prepared, failure} {
				id, claim := tasklet.NewClaim(from)
				s := knock(t, from, victim)
				s.say(offered, offer{ID: id, Move: [16]byte{1}, Program: program, Origin: from.ID().String(), Memory: 8 << 20, Claim: claim})
				for range 2 {
					s.hear()
				}
				c := good()
				c.ID, c.Claim, c.Origin, c.Program = id, claim, from.ID().String(), program
				c.Memory, c.State.Pages, c.State.Calls = tasklet.PageList{Size: 8 << 20}, 8<<4, nil
				fill(&c)
				s.say(frozen, &c)
				tag, body := s.hear()
				if tag != want || tag == failure && !bytes.Contains(body, []byte(tasklet.LimitHeld)) {
					t.Fatalf("tasklet %d: message %d, %q", n, tag, body)
				}
			}
		})
	}
}

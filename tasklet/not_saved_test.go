package tasklet_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// A list is the state of a function that can become one which codec refuses: each
// link is nested in the one before.
type list struct {
	First  *link
	Length int
	Owes   bool // its length, to who made it grow
}

type link struct{ Next *link }

// grows receives by how much its list is to grow, or 0 to drop it, and sends how
// long it is then.
var grows = tasklet.Func("grows", func(ctx context.Context, self *tasklet.Self, s *list) error {
	grow, err := channel.Open[int](ctx, self, "grow")
	if err != nil {
		return err
	}
	length, err := channel.Open[int](ctx, self, "length")
	if err != nil {
		return err
	}
	for {
		if s.Owes {
			if err := length.Send(ctx, s.Length); err != nil {
				return err
			}
			s.Owes = false
		}
		n, err := grow.Receive(ctx)
		if err != nil {
			return err
		}
		for range n {
			s.First = &link{s.First}
		}
		s.Length += n
		if n == 0 {
			s.First, s.Length = nil, 0
		}
		s.Owes = true
	}
})

// tooLong is the length of a list that cannot be encoded and read back.
const tooLong = codec.MaxDepth + 1

// grow makes the list at p longer, whose length is to be want then.
func grow(ctx context.Context, t *testing.T, p *peer, by, want int) {
	t.Helper()
	if err := open(t, p, "grow").Send(ctx, by); err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, p, "length").Receive(ctx); got != want || err != nil {
		t.Fatalf("it has grown to %d, %v; want %d", got, err, want)
	}
}

// startSaving starts a peer in dir that records its tasklets so often.
func startSaving(t *testing.T, dir string, every time.Duration) (*peer, *logged) {
	t.Helper()
	said := new(logged)
	p := must[*peer](t)(newPeer(dir, tcp, &tasklet.Options{
		DataDir: dir, CacheDir: cache, AcceptAny: true, Functions: functions, Checkpoint: every,
		Logger: slog.New(slog.NewTextHandler(said, nil)),
	}))
	t.Cleanup(p.close)
	return p, said
}

// A function whose state cannot be encoded and read back is not suspended, moved
// or recorded: it goes on, and the error says why. When its host is closed, its
// last record stays, and it goes on from there.
func TestStateNotSaved(t *testing.T) {
	const why = "nested more than"
	ctx := within(t, patience)
	dir := t.TempDir()
	p, said := startSaving(t, dir, 0)
	other, memory := functionPeers(t, 1)[0], functionPeers(t, 1)[0]
	for _, from := range []*peer{p, memory} {
		must[p2p.ID](t)(from.node.Connect(ctx, other.node.Addrs()[0]))
	}
	inMemory := must[*tasklet.Tasklet](t)(memory.Go(ctx, grows(list{})))
	grow(ctx, t, memory, tooLong, tooLong)
	if err := inMemory.Move(ctx, other.id()); !errors.Is(err, tasklet.ErrLimit) || !strings.Contains(err.Error(), why) {
		t.Errorf("move of one without disk: %v", err)
	}
	grow(ctx, t, memory, 1, tooLong+1)
	if err := inMemory.Kill(ctx); err != nil {
		t.Error(err)
	}

	tl := must[*tasklet.Tasklet](t)(p.Go(ctx, grows(list{})))
	grow(ctx, t, p, 10, 10)
	if err := tl.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	length := tooLong + 10
	grow(ctx, t, p, tooLong, length)
	for name, act := range map[string]func() error{
		"suspend":    func() error { return tl.Suspend(ctx) },
		"checkpoint": func() error { return tl.Checkpoint(ctx) },
		"move":       func() error { return tl.Move(ctx, other.id()) },
	} {
		if err := act(); !errors.Is(err, tasklet.ErrLimit) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", name, err)
		}
		length++
		grow(ctx, t, p, 1, length)
		if i := look(t, tl); i.State != tasklet.Running || !strings.Contains(i.NotSaved, why) || i.Host != p.id() {
			t.Errorf("after %s: %+v", name, i)
		}
	}
	p.close()
	if !said.says("could not be suspended; it will go on from its last checkpoint") || !said.says(why) {
		t.Error("the log says nothing of it")
	}

	p, _ = startSaving(t, dir, 0)
	tl = must[*tasklet.Tasklet](t)(p.Find(string(tl.ID())))
	eventually(ctx, t, "the reason, after the restart", func() bool {
		i := look(t, tl)
		return i.State == tasklet.Running && strings.Contains(i.NotSaved, why)
	})
	grow(ctx, t, p, 1, 11)
	if err := tl.Suspend(ctx); err != nil {
		t.Error(err)
	}
	if i := look(t, tl); i.State != tasklet.Suspended || i.NotSaved != "" {
		t.Errorf("when it has been suspended: %+v", i)
	}
}

// When the record of a function is due and cannot be made, the log says so and
// its Info, as long as that is so.
func TestCheckpointNotSaved(t *testing.T) {
	ctx := within(t, patience)
	p, said := startSaving(t, t.TempDir(), 20*time.Millisecond)
	tl := must[*tasklet.Tasklet](t)(p.Go(ctx, grows(list{})))
	grow(ctx, t, p, tooLong, tooLong)
	eventually(ctx, t, "the word of it", func() bool {
		return said.says("checkpoint failed") && strings.Contains(look(t, tl).NotSaved, "nested more than")
	})
	grow(ctx, t, p, 0, 0)
	eventually(ctx, t, "a record", func() bool { return look(t, tl).NotSaved == "" })
	if i := look(t, tl); i.State != tasklet.Running {
		t.Errorf("%+v", i)
	}
}

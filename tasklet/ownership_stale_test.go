package tasklet_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// copyFolder copies a data folder, which nobody else may read.
func copyFolder(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return errors.Join(err, os.Chmod(path, 0o700))
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A peer that gets back a data folder from before a move ends the copy of the
// tasklet that is in it, when it hears of the one that went on, and says so.
func TestOldCopyEnds(t *testing.T) {
	for name, start := range map[string]func(*peer) (*tasklet.Tasklet, error){
		"function": func(p *peer) (*tasklet.Tasklet, error) { return p.Go(t.Context(), prints(0)) },
		"program":  func(p *peer) (*tasklet.Tasklet, error) { return p.Spawn(t.Context(), build(t, "plain"), "1000000") },
	} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t, time.Minute)
			dir, backup := t.TempDir(), filepath.Join(t.TempDir(), "backup")
			away := functionPeers(t, 1)[0]
			home := startAt(t, dir, tcp)
			tl := must[*tasklet.Tasklet](t)(start(home))
			id := tl.ID()
			home.close()
			copyFolder(t, backup, dir)
			again := func(dir string) *tasklet.Tasklet {
				home = startAt(t, dir, tcp)
				must[p2p.ID](t)(home.node.Connect(ctx, away.node.Addrs()[0]))
				eventually(ctx, t, "the tasklet after a start", func() bool { return home.Live(id) })
				return must[*tasklet.Tasklet](t)(home.Find(string(id)))
			}
			tl = again(dir)
			if err := tl.Move(ctx, away.id()); err != nil {
				t.Fatal(err)
			}
			home.close()
			tl = again(backup) // now there are two
			eventually(ctx, t, "the end of the old copy", func() bool {
				home.LookForNewer(id)
				return !home.Live(id)
			})
			if !away.Live(id) {
				t.Fatal("the newer one is gone, too")
			}
			eventually(ctx, t, "the reason", func() bool {
				i := look(t, tl)
				return strings.Contains(i.Error, "old copy") && i.Host == away.id()
			})
			home.close()
			home = startAt(t, backup, tcp)
			must[p2p.ID](t)(home.node.Connect(ctx, away.node.Addrs()[0]))
			if home.Live(id) {
				t.Error("it runs again after a start")
			}
			// It comes home, and is moved and killed, as ever.
			tl = must[*tasklet.Tasklet](t)(home.Find(string(id)))
			for _, to := range []*peer{home, away, home} {
				if err := tl.Move(ctx, to.id()); err != nil {
					t.Fatal(err)
				}
			}
			if err := tl.Kill(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// A tasklet that is brought to a peer takes the place of an old copy of it.
func TestOldCopyIsReplaced(t *testing.T) {
	ctx := within(t, time.Minute)
	dir, backup := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	away := functionPeers(t, 1)[0]
	home := startAt(t, dir, tcp)
	id := must[*tasklet.Tasklet](t)(home.Go(ctx, prints(0))).ID()
	home.close()
	copyFolder(t, backup, dir)
	for _, d := range []string{dir, backup} {
		home = startAt(t, d, tcp)
		must[p2p.ID](t)(home.node.Connect(ctx, away.node.Addrs()[0]))
		eventually(ctx, t, "the tasklet after a start", func() bool { return home.Live(id) })
		if d == dir {
			if err := must[*tasklet.Tasklet](t)(home.Find(string(id))).Move(ctx, away.id()); err != nil {
				t.Fatal(err)
			}
			home.close()
		}
	}
	newer := must[*tasklet.Tasklet](t)(away.Find(string(id)))
	ref := must[tasklet.Ref](t)(newer.Ref())
	newer = must[*tasklet.Tasklet](t)(ref.Open(ctx, away))
	if err := newer.Move(ctx, home.id()); err != nil {
		t.Fatal(err)
	}
	if !home.Live(id) || away.Live(id) {
		t.Error("it is not at home alone")
	}
}

// A former host cannot end a tasklet by transfers that it makes up.
func TestMadeUpTransfers(t *testing.T) {
	origin, former, host, other := rawNode(t), rawNode(t), rawNode(t), rawNode(t)
	id, start := tasklet.NewClaim(origin)
	one := tasklet.PassClaim(origin, id, start, former.ID())
	held := tasklet.PassClaim(former, id, one, host.ID())
	forked := tasklet.PassClaim(former, id, one, other.ID())
	for range 5 {
		forked = tasklet.PassClaim(other, id, forked, other.ID())
	}
	on := tasklet.PassClaim(host, id, held, other.ID())
	home := tasklet.PassClaim(other, id, on, origin.ID())
	again := tasklet.PassClaim(origin, id, home, former.ID())
	for name, c := range map[string]struct {
		claim tasklet.Claim
		ends  bool
	}{"the same": {held, false}, "older": {one, false}, "made up": {forked, false}, "passed on": {on, true}, "by the origin": {again, true}} {
		if got := c.claim.Supersedes(&held, host.ID()); got != c.ends {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A log is what a host has logged.
type logged struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *logged) says(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.all.String(), what)
}

// Two machines with one key are noticed, by others and by themselves; a peer that
// is started again is not taken for two.
func TestTwoOfOneKey(t *testing.T) {
	ctx := within(t, time.Minute)
	logs := [3]logged{}
	start := func(n int, dir string) *peer {
		p := must[*peer](t)(newPeer(dir, tcp, &tasklet.Options{CacheDir: cache, Logger: slog.New(slog.NewTextHandler(&logs[n], nil))}))
		t.Cleanup(p.close)
		return p
	}
	witness := start(0, "")
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	for range 3 {
		p := start(1, dir)
		must[p2p.ID](t)(p.node.Connect(ctx, witness.node.Addrs()[0]))
		p.Greet()
		p.close()
	}
	if logs[0].says("same key") || logs[1].says("key of this one") {
		t.Error("a peer that was started again was taken for two")
	}
	copyFolder(t, copied, dir)
	twins := []*peer{start(1, dir), start(2, copied)}
	for _, p := range twins {
		must[p2p.ID](t)(p.node.Connect(ctx, witness.node.Addrs()[0]))
	}
	eventually(ctx, t, "what is said of two of one key", func() bool {
		for _, p := range twins {
			p.Greet()
		}
		return logs[0].says("same key") && logs[1].says("key of this one") && logs[2].says("key of this one")
	})
}

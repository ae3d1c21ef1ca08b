package tasklet_test

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

const (
	watch  = 3
	events = 14
)

// lent starts a function at a peer that has a folder and moves it to a node that
// speaks by hand, where watches are served from then on.
func lent(t *testing.T, serve func(at *p2p.Node, s *stranger)) (victim *peer, dir string, tl *tasklet.Tasklet, hosts [2]*p2p.Node) {
	dir = t.TempDir()
	victim = must[*peer](t)(newPeer(dir, tcp, &tasklet.Options{DataDir: dir, CacheDir: cache, Functions: functions}))
	t.Cleanup(victim.close)
	hosts = [2]*p2p.Node{rawNode(t, victim), rawNode(t, victim)}
	captives := capture(t, hosts[0])
	tl = must[*tasklet.Tasklet](t)(victim.Go(t.Context(), prints(0)))
	if err := tl.Move(t.Context(), hosts[0].ID().String()); err != nil {
		t.Fatal(err)
	}
	<-captives
	for _, n := range hosts {
		n.Handle(tasklet.Protocol, func(st p2p.Stream) {
			defer st.Close()
			s := &stranger{t, st, bufio.NewReader(st)}
			if tag, _ := s.hear(); tag == watch {
				serve(n, s)
			}
		})
	}
	return victim, dir, tl, hosts
}

type forward struct {
	To    string
	Addrs []string
	Hop   tasklet.Hop
}

// Two hosts that say of each other that they have the tasklet do not keep the peer
// busy that started it.
func TestFollowedInCircles(t *testing.T) {
	var asked atomic.Int64
	var hosts [2]*p2p.Node
	ready := make(chan struct{})
	_, _, _, hosts = lent(t, func(at *p2p.Node, s *stranger) {
		<-ready
		asked.Add(1)
		to := hosts[0]
		if at == to {
			to = hosts[1]
		}
		s.say(events, struct{ Moved *forward }{&forward{To: to.ID().String()}})
		s.hear()
	})
	close(ready)
	eventually(within(t, time.Minute), t, "a tasklet that is followed far", func() bool { return asked.Load() >= 64 })
	before, begun := asked.Load(), time.Now()
	<-time.After(2 * time.Second) // the rate is what is measured
	if n := asked.Load() - before; n > 3+int64(time.Since(begun)/time.Second) {
		t.Errorf("it was asked for %d times in %v", n, time.Since(begun))
	}
}

// A host that sends output without end does not make the peer that started the
// tasklet write its file anew without end.
func TestOutputWithoutEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("sends 300 MiB")
	}
	const size = 300 << 20
	line := bytes.Repeat([]byte("0123456789abcdef"), 64<<10/16)
	victim, dir, tl, _ := lent(t, func(_ *p2p.Node, s *stranger) {
		for at := 0; at < size; at += len(line) {
			s.say(events, struct {
				Output []byte
				At     int64
			}{line, int64(at)})
			if tag, _ := s.hear(); tag == 0 {
				return
			}
		}
		s.say(events, struct {
			Exited *struct{ Status int }
		}{&struct{ Status int }{7}})
		s.hear()
	})
	file := filepath.Join(dir, "tasklets")
	var files []os.FileInfo
	ctx := within(t, time.Minute)
	eventually(ctx, t, "the end", func() bool {
		filepath.WalkDir(file, func(path string, e os.DirEntry, err error) error {
			if filepath.Base(path) != string(tl.ID())+".text" {
				return nil
			}
			if now, err := os.Stat(path); err == nil && (len(files) == 0 || !os.SameFile(now, files[len(files)-1])) {
				files = append(files, now)
			}
			return nil
		})
		return look(t, tl).State == tasklet.Exited
	})
	if len(files) == 0 || len(files) > 4 {
		t.Errorf("the file was written anew %d times", len(files)-1)
	}
	victim.close()
	victim = startAt(t, dir, tcp)
	tl = must[*tasklet.Tasklet](t)(victim.Find(string(tl.ID())))
	got := output(t, tl)
	if len(got) < tasklet.MaxOutput || len(got) > tasklet.MaxOutput+tasklet.MaxOutput/4+100 || !bytes.HasSuffix([]byte(got), line) {
		t.Errorf("%d bytes of output are there", len(got))
	}
}

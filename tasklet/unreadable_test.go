package tasklet_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/journal"
)

// startLogged starts a peer in dir that accepts everybody and keeps its log.
func startLogged(t *testing.T, dir string, opts tasklet.Options) (*peer, *bytes.Buffer, error) {
	t.Helper()
	said := new(bytes.Buffer)
	opts.DataDir, opts.CacheDir, opts.AcceptAny, opts.Functions = dir, cache, true, functions
	opts.Logger = slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelError}))
	p, err := newPeer(dir, tcp, &opts)
	if err == nil {
		t.Cleanup(p.close)
	}
	return p, said, err
}

// Nothing that an accepted peer says of a tasklet that it brings keeps the peer
// from starting again, or from listing what it has.
func TestNothingUnreadableIsTaken(t *testing.T) {
	good := func(*tasklet.Continuation, *commit) {}
	for name, c := range map[string]struct {
		forge func(c *tasklet.Continuation, m *commit)
		runs  bool
	}{
		"nothing": {good, true},
		"a claim of 257 empty links": {func(_ *tasklet.Continuation, m *commit) {
			m.Claim.Links = make([]tasklet.Link, 257)
		}, false},
		"a claim with a link of 100 KB": {func(_ *tasklet.Continuation, m *commit) {
			m.Claim.Links = []tasklet.Link{{Sign: make([]byte, 100_000)}}
		}, false},
		// Who moves the tasklet where is what the destination knows itself.
		"a hop to nobody":         {func(_ *tasklet.Continuation, m *commit) { m.Hop.To = "nobody" }, true},
		"a hop that took no time": {func(_ *tasklet.Continuation, m *commit) { m.Hop.Frozen = -1 }, false},
		"output at the end of positions": {func(c *tasklet.Continuation, _ *commit) {
			c.Unread, c.UnreadAt = make([]byte, 10), math.MaxInt64-10
		}, false},
		"a start in a far year": {func(c *tasklet.Continuation, _ *commit) {
			c.Started = time.Date(35_000_000, 1, 1, 0, 0, 0, 0, time.UTC)
		}, false},
		"hops of 100 KB": {func(c *tasklet.Continuation, _ *commit) {
			c.Moves = []tasklet.Hop{{From: strings.Repeat("x", 100_000)}}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t, patience)
			dir := t.TempDir()
			victim, _, err := startLogged(t, dir, tasklet.Options{})
			if err != nil {
				t.Fatal(err)
			}
			from := rawNode(t, victim)
			cont := goodFunction()
			cont.Origin, cont.Started = from.ID().String(), time.Now().UTC()
			id, claim := tasklet.NewClaim(from)
			cont.ID, cont.Claim = id, claim
			m := commit{Hop: tasklet.Hop{From: from.ID().String(), To: victim.id()}, Claim: tasklet.PassClaim(from, id, claim, victim.node.ID())}
			c.forge(&cont, &m)
			s, tag, text := bring(t, from, victim, offer{
				ID: cont.ID, Move: [16]byte{1}, Origin: cont.Origin, Claim: claim,
				Memory: uint64(len(cont.Function.State)), Function: cont.Function.Name, Shape: cont.Function.Shape,
			}, cont)
			if tag == prepared {
				s.say(commits, m)
				tag, _ = s.hear()
			}
			if (tag == runs) != c.runs || !c.runs && tag != failure {
				t.Errorf("message %d, %q", tag, text)
			}
			for len(victim.Arriving()) > 0 && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			list := victim.List()
			for _, i := range list {
				if _, err := i.Started.MarshalJSON(); err != nil {
					t.Errorf("it cannot be listed: %v", err)
				}
			}
			if (len(list) == 1) != c.runs {
				t.Errorf("it has %+v", list)
			}
			victim.close()
			victim, said, err := startLogged(t, dir, tasklet.Options{})
			if err != nil {
				t.Fatalf("it does not start again: %v", err)
			}
			if said.Len() > 0 {
				t.Errorf("it says %s", said)
			}
			if (len(victim.List()) == 1) != c.runs {
				t.Errorf("it has %+v", victim.List())
			}
		})
	}
}

// An entry that cannot be read is set aside, with what belongs to it, and all others
// go on.
func TestUnreadableEntries(t *testing.T) {
	ctx := within(t, patience)
	dir := t.TempDir()
	p, _, err := startLogged(t, dir, tasklet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lost, kept := spawn(ctx, t, p, "zoo", "forever"), spawn(ctx, t, p, "zoo", "forever")
	called := must[*tasklet.Tasklet](t)(p.Go(ctx, count(counter{Channel: channel.Ref[int]{Name: "n"}, To: 3})))
	if err := lost.Suspend(ctx); err != nil {
		t.Fatal(err)
	}
	p.close()
	j := must[*journal.Journal](t)(journal.Open(filepath.Join(dir, "tasklets")))
	err = j.Update(func(tx *journal.Tx) error {
		return errors.Join(
			tx.Put("hosted", string(lost.ID()), []byte("noise")),
			tx.Put("hosted", "not an ID", nil),
			tx.Put("started", string(lost.ID()), []byte{2, 0, 0, 0, 0}),
			tx.Put("started", "00", []byte{}),
			tx.Put("moves", "x", []byte{1}),
			tx.Put("departed", strings.Repeat("y", 200), []byte{1, 2, 3}),
		)
	})
	if err := errors.Join(err, j.Close()); err != nil {
		t.Fatal(err)
	}
	texts := must[[]string](t)(filepath.Glob(filepath.Join(dir, "tasklets", "*.text")))
	for _, f := range texts {
		if !strings.Contains(f, string(lost.ID())) {
			if err := os.WriteFile(f, []byte("noise"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	p, said, err := startLogged(t, dir, tasklet.Options{})
	if err != nil {
		t.Fatalf("it does not start: %v", err)
	}
	for n, what := range map[int]string{6: "was set aside; the peer goes on", len(texts) - 1: "damaged and was set aside"} {
		if got := strings.Count(said.String(), what); got != n {
			t.Errorf("%q is said %d times, not %d: %s", what, got, n, said)
		}
	}
	aside := must[[]string](t)(filepath.Glob(filepath.Join(dir, "tasklets", "set-aside", "*")))
	if want := 6 + 1 + len(texts); len(aside) != want { // with a log, and all texts
		t.Errorf("%d files are set aside, not %d: %q", len(aside), want, aside)
	}
	for _, tl := range []*tasklet.Tasklet{kept, called} {
		for !p.Live(tl.ID()) {
			if ctx.Err() != nil {
				t.Fatalf("%s does not go on", tl.ID())
			}
			time.Sleep(time.Millisecond)
		}
	}
	if _, err := p.Find(string(lost.ID())); !errors.Is(err, tasklet.ErrNotFound) {
		t.Errorf("the one that was lost: %v", err)
	}
	p.close()
	if _, said, err = startLogged(t, dir, tasklet.Options{}); err != nil || said.Len() > 0 {
		t.Errorf("at the next start: %s, %v", said, err)
	}
}

// A journal that is damaged is an error, and is set aside if that is asked for:
// then the peer has nothing, and all is still there to be looked at.
func TestDamagedJournal(t *testing.T) {
	for name, damage := range map[string]func(file string) error{
		"cut off": func(file string) error { return os.Truncate(file, 10_000) },
		"empty":   func(file string) error { return os.Truncate(file, 0) },
		"missing": os.Remove,
		"noise":   func(file string) error { return os.WriteFile(file, bytes.Repeat([]byte("noise"), 10_000), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t, patience)
			dir := t.TempDir()
			p, _, err := startLogged(t, dir, tasklet.Options{})
			if err != nil {
				t.Fatal(err)
			}
			must[*tasklet.Tasklet](t)(p.Go(ctx, count(counter{Channel: channel.Ref[int]{Name: "n"}, To: 3})))
			p.close()
			file := filepath.Join(dir, "tasklets", "journal.db")
			if err := damage(file); err != nil {
				t.Fatal(err)
			}
			if _, _, err := startLogged(t, dir, tasklet.Options{}); !errors.Is(err, journal.ErrDamaged) || !strings.Contains(err.Error(), file) {
				t.Errorf("start: %v", err)
			}
			p, said, err := startLogged(t, dir, tasklet.Options{SetAsideJournal: true})
			if err != nil || !strings.Contains(said.String(), "tasklets-damaged-") {
				t.Fatalf("start: %v, %s", err, said)
			}
			if list := p.List(); len(list) > 0 {
				t.Errorf("it has %+v", list)
			}
			aside := must[[]string](t)(filepath.Glob(filepath.Join(dir, "tasklets-damaged-*")))
			if len(aside) != 1 {
				t.Errorf("set aside: %q", aside)
			}
		})
	}
}

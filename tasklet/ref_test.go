package tasklet_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// selves does what the animal self does.
var selves = tasklet.Func("selves", func(ctx context.Context, self *tasklet.Self, shown *bool) error {
	refs, err := channel.Open[tasklet.Ref](ctx, self, "refs")
	if err != nil {
		return err
	}
	if !*shown {
		ref, err := self.Ref()
		if err != nil {
			return err
		}
		if _, err := ref.Open(ctx, self); !errors.Is(err, tasklet.ErrRefused) {
			return fmt.Errorf("its own Ref: %v", err)
		}
		if err := refs.Send(ctx, ref); err != nil {
			return err
		}
		*shown = true
	}
	words, err := channel.Open[string](ctx, self, "words")
	if err != nil {
		return err
	}
	for {
		word, err := words.Receive(ctx)
		switch {
		case errors.Is(err, channel.ErrClosed):
			return errors.New("over")
		case err != nil:
			return err
		}
		fmt.Fprintln(self, word)
	}
})

// Through a Ref that a tasklet sent over a channel, a peer that has nothing to do
// with it does everything, wherever it is, and also when the peer that started it
// and its former hosts are gone.
func TestRef(t *testing.T) {
	wasm := build(t, "zoo")
	for name, start := range map[string]func(ctx context.Context, at *peer) (*tasklet.Tasklet, error){
		"program":  func(ctx context.Context, at *peer) (*tasklet.Tasklet, error) { return at.Spawn(ctx, wasm, "self") },
		"function": func(ctx context.Context, at *peer) (*tasklet.Tasklet, error) { return at.Go(ctx, selves(false)) },
	} {
		t.Run(name, func(t *testing.T) { everything(within(t, patience), t, start) })
	}
}

func everything(ctx context.Context, t *testing.T, start func(context.Context, *peer) (*tasklet.Tasklet, error)) {
	var peers []*peer
	for range 6 {
		p := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Functions: functions, DataDir: t.TempDir()})
		for _, other := range peers {
			must[p2p.ID](t)(p.node.Connect(ctx, other.node.Addrs()[0]))
		}
		peers = append(peers, p)
	}
	origin, former, host, third, fourth, fifth := peers[0], peers[1], peers[2], peers[3], peers[4], peers[5]
	refs := must[*channel.Channel[tasklet.Ref]](t)(channel.Open[tasklet.Ref](ctx, third.space, "refs"))
	words := must[*channel.Channel[string]](t)(channel.Open[string](ctx, third.space, "words"))
	own := must[*tasklet.Tasklet](t)(start(ctx, origin))
	ref := must[tasklet.Ref](t)(refs.Receive(ctx))
	if want := must[tasklet.Ref](t)(own.Ref()); ref != want {
		t.Errorf("received %v, want %v", ref, want)
	}
	far := must[*tasklet.Tasklet](t)(ref.Open(ctx, third))
	out := must[io.ReadCloser](t)(far.Output(ctx, true))
	defer out.Close()
	lines := bufio.NewScanner(out)
	for n, to := range []*peer{former, origin, former, host} {
		if err := far.Move(ctx, to.id()); err != nil {
			t.Fatal(err)
		}
		if where, err := far.Where(ctx); where != to.id() || err != nil {
			t.Errorf("it is at %s, %v; want %s", where, err, to.id())
		}
		word := fmt.Sprint("word ", n)
		if err := words.Send(ctx, word); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() || lines.Text() != word {
			t.Errorf("output %q, %v; want %q", lines.Text(), lines.Err(), word)
		}
	}
	i := must[tasklet.Info](t)(far.Info(ctx))
	if o := must[tasklet.Info](t)(own.Info(ctx)); i.ID != o.ID || i.Function != o.Function || i.Program != o.Program || i.State != tasklet.Running || len(i.Moves) != 4 {
		t.Errorf("the third peer knows %+v, the origin %+v", i, o)
	}
	if got := output(t, far); got != "word 0\nword 1\nword 2\nword 3\n" {
		t.Errorf("output %q", got)
	}

	origin.close()
	former.close()
	if _, err := far.Output(ctx, false); err == nil || !strings.Contains(err.Error(), "which started it and alone keeps its output, does not answer") {
		t.Errorf("output without the peer that keeps it: %v", err)
	}
	// A peer that never heard of it opens the same Ref now.
	other := must[*tasklet.Tasklet](t)(must[tasklet.Ref](t)(far.Ref()).Open(ctx, fourth))
	for _, step := range []struct {
		do   func(context.Context) error
		want tasklet.State
	}{{other.Suspend, tasklet.Suspended}, {far.Resume, tasklet.Running}} {
		if err := step.do(ctx); err != nil {
			t.Fatal(err)
		}
		if i, err := far.Info(ctx); i.State != step.want || i.Host != host.id() || err != nil {
			t.Errorf("%+v, %v; want %s", i, err, step.want)
		}
	}
	if err := other.Move(ctx, third.id()); err != nil {
		t.Fatal(err)
	}
	host.close()
	if err := must[*tasklet.Tasklet](t)(ref.Open(ctx, fifth)).Move(ctx, fifth.id()); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		status, err := other.Wait(ctx)
		if err == nil && status == 3 || status == 1 && err.Error() == "over" {
			err = nil
		} else {
			err = fmt.Errorf("status %d, %w", status, err)
		}
		waited <- err
	}()
	if err := words.Send(ctx, "last"); err != nil {
		t.Error(err)
	}
	if err := words.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if i, err := far.Info(ctx); i.State != tasklet.Exited || i.Host != fifth.id() || err != nil {
		t.Errorf("%+v, %v", i, err)
	}
	if err := far.Kill(ctx); !errors.Is(err, tasklet.ErrExited) {
		t.Errorf("kill of what has exited: %v", err)
	}
}

// The end of a tasklet, and its output, are told to who has a Ref of it also when
// it ended at a host that is gone; only the peer that started it knows then.
func TestRefOfEnded(t *testing.T) {
	ctx := within(t, patience)
	peers := functionPeers(t, 3)
	origin, host, third := peers[0], peers[1], peers[2]
	tl := must[*tasklet.Tasklet](t)(origin.Go(ctx, prints(0)))
	ref := must[tasklet.Ref](t)(tl.Ref())
	far := must[*tasklet.Tasklet](t)(ref.Open(ctx, third))
	if err := far.Move(ctx, host.id()); err != nil {
		t.Fatal(err)
	}
	if err := far.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := tl.Wait(ctx); !errors.Is(err, tasklet.ErrKilled) {
		t.Fatal(err)
	}
	host.close()
	far = must[*tasklet.Tasklet](t)(ref.Open(ctx, third))
	if status, err := far.Wait(ctx); status != -1 || !errors.Is(err, tasklet.ErrKilled) {
		t.Errorf("%d, %v", status, err)
	}
	if i, err := far.Info(ctx); i.State != tasklet.Exited || i.Error == "" || err != nil {
		t.Errorf("%+v, %v", i, err)
	}
	if got, want := output(t, far), output(t, tl); got != want || !strings.HasPrefix(got, "0\n1\n") {
		t.Errorf("output %.20q, want %.20q", got, want)
	}
}

// The peer that started a tasklet was away while the tasklet moved on, from a host
// that is gone when it is back: it finds it again.
func TestOriginWasAway(t *testing.T) {
	ctx := within(t, patience)
	dir := t.TempDir()
	back := func() *peer {
		p := must[*peer](t)(newPeer(dir, tcp, &tasklet.Options{DataDir: dir, Functions: functions}))
		t.Cleanup(p.close)
		return p
	}
	origin, peers := back(), functionPeers(t, 3)
	former, host, third := peers[0], peers[1], peers[2]
	for _, p := range peers {
		must[p2p.ID](t)(origin.node.Connect(ctx, p.node.Addrs()[0]))
	}
	tl := must[*tasklet.Tasklet](t)(origin.Go(ctx, prints(0)))
	ref := must[tasklet.Ref](t)(tl.Ref())
	if err := tl.Move(ctx, former.id()); err != nil {
		t.Fatal(err)
	}
	origin.close()
	if err := must[*tasklet.Tasklet](t)(ref.Open(ctx, third)).Move(ctx, host.id()); err != nil {
		t.Fatal(err)
	}
	former.close()
	origin = back()
	for _, p := range peers[1:] {
		must[p2p.ID](t)(origin.node.Connect(ctx, p.node.Addrs()[0]))
	}
	tl = must[*tasklet.Tasklet](t)(origin.Find(string(ref.ID)))
	if again := must[tasklet.Ref](t)(tl.Ref()); again != ref {
		t.Errorf("its Ref was %v, and is %v", ref, again)
	}
	eventually(ctx, t, "the word of it", func() bool {
		i := look(t, tl)
		return i.State == tasklet.Running && i.Host == host.id()
	})
	if err := tl.Kill(ctx); err != nil {
		t.Error(err)
	}
	if _, err := tl.Wait(ctx); !errors.Is(err, tasklet.ErrKilled) {
		t.Error(err)
	}
}

// Who waits for a tasklet goes on when its host is started again, though the peer
// that started it is gone.
func TestWaitOverRestart(t *testing.T) {
	ctx := within(t, patience)
	dir, peers := t.TempDir(), functionPeers(t, 2)
	origin, third := peers[0], peers[1]
	begin := func() *peer {
		p := must[*peer](t)(newPeer(dir, tcp, &tasklet.Options{DataDir: dir, Functions: functions, AcceptAny: true}))
		t.Cleanup(p.close)
		must[p2p.ID](t)(p.node.Connect(ctx, third.node.Addrs()[0]))
		return p
	}
	host := begin()
	must[p2p.ID](t)(origin.node.Connect(ctx, host.node.Addrs()[0]))
	tl := must[*tasklet.Tasklet](t)(origin.Go(ctx, count(counter{channel.Ref[int]{Name: "numbers"}, 0, 1})))
	ref := must[tasklet.Ref](t)(tl.Ref())
	if err := tl.Move(ctx, host.id()); err != nil {
		t.Fatal(err)
	}
	far := must[*tasklet.Tasklet](t)(ref.Open(ctx, third))
	origin.close()
	waited := make(chan error, 1)
	go func() {
		status, err := far.Wait(ctx)
		if status != 0 && err == nil {
			err = fmt.Errorf("status %d", status)
		}
		waited <- err
	}()
	eventually(ctx, t, "who waits", func() bool { return host.Awaited(ref.ID) })
	host.close()
	host = begin()
	if n, err := open(t, third, "numbers").Receive(ctx); n != 0 || err != nil {
		t.Error(n, err)
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
}

// Who knows the ID alone, has another key, or shows what was meant for another
// peer, may not even ask.
func TestRefOfStranger(t *testing.T) {
	ctx := within(t, patience)
	peers := functionPeers(t, 3)
	origin, host, stranger := peers[0], peers[1], peers[2]
	tl := must[*tasklet.Tasklet](t)(origin.Go(ctx, prints(0)))
	if err := tl.Move(ctx, host.id()); err != nil {
		t.Fatal(err)
	}
	ref := must[tasklet.Ref](t)(tl.Ref())
	wrong := ref
	wrong.Key[31]++
	for _, at := range peers {
		for _, r := range []tasklet.Ref{wrong, {ID: ref.ID, Origin: ref.Origin}} {
			if _, err := r.Open(ctx, at); !errors.Is(err, tasklet.ErrRefused) {
				t.Errorf("open with a wrong key: %v", err)
			}
		}
	}
	for _, r := range []tasklet.Ref{{}, {ID: ref.ID}, {ID: "../..", Origin: ref.Origin}, {ID: good().ID, Origin: ref.Origin}} {
		if _, err := r.Open(ctx, stranger); !errors.Is(err, tasklet.ErrNotFound) {
			t.Errorf("open %v: %v", r, err)
		}
	}
	found := must[*tasklet.Tasklet](t)(stranger.Open(ctx, tl.ID()))
	for what, err := range map[string]error{
		"move": found.Move(ctx, stranger.id()), "kill": found.Kill(ctx), "suspend": found.Suspend(ctx), "resume": found.Resume(ctx),
	} {
		if !errors.Is(err, tasklet.ErrRefused) {
			t.Errorf("%s by the ID alone: %v", what, err)
		}
	}
	if i, err := found.Info(ctx); i.Host != host.id() || i.Function != "" || err != nil {
		t.Errorf("by the ID alone it is known as %+v, %v", i, err)
	}
	if _, err := found.Output(ctx, false); err == nil {
		t.Error("the ID alone gave its output")
	}
	if _, err := found.Ref(); err == nil {
		t.Error("the ID alone gave a Ref")
	}
	// Proofs of others, and for others.
	type request struct {
		ID         tasklet.ID
		Kill, Info bool
		Proof      []byte
	}
	id := func(p *peer) p2p.ID { return p.node.ID() }
	for what, proof := range map[string][]byte{
		"none":               nil,
		"noise":              make([]byte, 32),
		"of another peer":    tasklet.Proof(ref, id(origin), id(host)),
		"for another peer":   tasklet.Proof(ref, id(stranger), id(origin)),
		"of another tasklet": tasklet.Proof(tasklet.Ref{ID: good().ID, Key: ref.Key}, id(stranger), id(host)),
		"of no key":          tasklet.Proof(tasklet.Ref{ID: ref.ID}, id(stranger), id(host)),
	} {
		s := knock(t, stranger.node, host)
		s.say(control, request{ID: ref.ID, Kill: true, Proof: proof})
		s.refused("only the peer that started")
		s = knock(t, stranger.node, origin)
		if what == "for another peer" {
			proof = tasklet.Proof(ref, id(stranger), id(host))
		}
		s.say(reads, request{ID: ref.ID, Proof: proof})
		s.refused("only the peer that started")
		if !host.Here(ref.ID) {
			t.Fatalf("a proof of %s killed it", what)
		}
	}
	// The peer that started it needs no proof; a wrong one may be of a program there.
	s := knock(t, origin.node, host)
	s.say(control, request{ID: ref.ID, Kill: true, Proof: make([]byte, 32)})
	s.refused("only the peer that started")
	s = knock(t, stranger.node, host)
	s.say(control, request{ID: ref.ID, Info: true, Proof: tasklet.Proof(ref, id(stranger), id(host))})
	if tag, _ := s.hear(); tag == failure {
		t.Error("a good proof is none")
	}
}

// A tasklet whose continuation an older peer made has no Ref, and all else.
func TestNoKey(t *testing.T) {
	ctx := within(t, patience)
	peers := functionPeers(t, 2)
	tl := must[*tasklet.Tasklet](t)(peers[0].Go(ctx, prints(0)))
	ref := must[tasklet.Ref](t)(tl.Ref())
	peers[0].DropKey(tl.ID())
	if _, err := tl.Ref(); err == nil || !strings.Contains(err.Error(), "older version") {
		t.Errorf("ref: %v", err)
	}
	for _, key := range []tasklet.Key{ref.Key, {}} {
		ref.Key = key
		for _, at := range peers {
			if _, err := ref.Open(ctx, at); !errors.Is(err, tasklet.ErrRefused) {
				t.Errorf("open: %v", err)
			}
		}
	}
	if err := tl.Move(ctx, peers[1].id()); err != nil {
		t.Error(err)
	}
}

func TestKeyIsNotPrinted(t *testing.T) {
	ref := tasklet.Ref{ID: "id", Key: tasklet.Key{254, 254}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		text := fmt.Sprintf(verb, ref)
		if strings.Contains(text, "254") || strings.Contains(text, "fe") || !strings.Contains(text, "(key)") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	ref.ID, ref.Origin = good().ID, good().Origin
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("text", "ref", ref)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("JSON", "ref", ref)
	if strings.Contains(out.String(), "254") || strings.Contains(out.String(), "fefe") || strings.Count(out.String(), "ref of "+string(ref.ID)) != 2 {
		t.Errorf("logged: %s", &out)
	}
}

func TestRefText(t *testing.T) {
	ref := tasklet.Ref{ID: good().ID, Origin: good().Origin, Key: tasklet.Key{1, 31: 255}}
	text := string(must[[]byte](t)(ref.MarshalText()))
	if want := string(good().ID) + ".12D3KooWLLx9CNjmgptNu474mxMARWYneErRaHZD4eyB5evq3aQY.01" + strings.Repeat("0", 60) + "ff"; text != want {
		t.Errorf("%q", text)
	}
	var again tasklet.Ref
	if err := again.UnmarshalText([]byte(text)); err != nil || again != ref {
		t.Errorf("%+v, %v", again, err)
	}
	for _, text := range []string{"", "..", text[1:], text + "0", text[:len(text)-1], text + ".", text[:len(text)-2] + "FF", string(ref.ID) + ".peer." + text[len(text)-64:], strings.Repeat("0", 1<<20)} {
		if again.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%.200q was read", text)
		}
	}
}

// FuzzRef takes a Ref as a peer takes it out of a channel, and requests as a
// stranger makes them.
func FuzzRef(f *testing.F) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzRef/*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tasklet.DecodeRequest(data)
		var read tasklet.Ref
		if read.UnmarshalText(data) == nil {
			if text, err := read.MarshalText(); string(text) != string(data) || err != nil {
				t.Errorf("%q became %q, %v", data, text, err)
			}
		}
		var r tasklet.Ref
		if codec.Unmarshal(data, &r) != nil {
			return
		}
		if _, err := r.MarshalText(); err != nil { // it is none
			return
		}
		var again tasklet.Ref
		if err := codec.Unmarshal(must[[]byte](t)(codec.Marshal(&r, 1<<20)), &again); err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("a Ref changes when it is encoded: %v, %v, %v", r, again, err)
		}
	})
}

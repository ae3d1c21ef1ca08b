package channel_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCorporaAreNotEmpty(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "fuzz", "FuzzSplit", "*"))
	if err != nil || len(files) == 0 {
		t.Errorf("FuzzSplit has no corpus, %v", err)
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		name  channel.Name
		valid bool
	}{
		{"", false},
		{"a", true},
		{"\x00", true},
		{"a name of its own, süß", true},
		{"\xff\xfe", true},
		{channel.Name(strings.Repeat("n", 255)), true},
		{channel.Name(strings.Repeat("n", 256)), false},
		{channel.Name(strings.Repeat("ü", 128)), false},
	} {
		err := test.name.Validate()
		if (err == nil) != test.valid || err != nil && !errors.Is(err, channel.ErrName) {
			t.Errorf("%.10q of %d bytes: %v", test.name, len(test.name), err)
		}
		_, err = channel.Open[int](t.Context(), &memory{}, test.name)
		if (err == nil) != test.valid || err != nil && !errors.Is(err, channel.ErrName) {
			t.Errorf("open %.10q of %d bytes: %v", test.name, len(test.name), err)
		}
	}
}

// A pair is two spaces that are one: from and to share their names.
type pair struct {
	from, to channel.Space
	encodes  bool // values leave the process on their way
	waits    func(name channel.Name) bool
}

// overAll runs test over each kind of space.
func overAll(t *testing.T, test func(*testing.T, pair)) {
	for _, encodes := range []bool{false, true} {
		t.Run(fmt.Sprintf("memory,encodes=%v", encodes), func(t *testing.T) {
			m := &memory{encodes: encodes}
			test(t, pair{m, m, encodes, func(name channel.Name) bool { return m.waiting(name) > 0 }})
		})
	}
	waits := func(s *network.Space) func(channel.Name) bool {
		return func(name channel.Name) bool {
			for _, c := range s.Channels() {
				if c.Name == name {
					return c.Sends+c.Receives > 0
				}
			}
			return false
		}
	}
	t.Run("one peer", func(t *testing.T) {
		s, _ := startSpace(t)
		test(t, pair{s, s, false, waits(s)})
	})
	t.Run("two peers", func(t *testing.T) {
		a, from := startSpace(t)
		b, to := startSpace(t)
		if _, err := from.Connect(t.Context(), to.Addrs()[0]); err != nil {
			t.Fatal(err)
		}
		test(t, pair{a, b, true, waits(a)})
	})
}

func startSpace(t *testing.T) (*network.Space, *p2p.Node) {
	node, err := p2p.Start(&p2p.Options{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	table, err := dht.Start(node, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := network.Start(node, table, nil)
	t.Cleanup(func() { s.Close(); table.Close(); node.Close() })
	return s, node
}

func open[T any](t *testing.T, s channel.Space, name channel.Name) *channel.Channel[T] {
	t.Helper()
	c, err := channel.Open[T](t.Context(), s, name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// until waits for what another goroutine is about to do.
func until(ctx context.Context, t *testing.T, done func() bool) {
	t.Helper()
	for !done() {
		if ctx.Err() != nil {
			t.Fatal("it did not happen")
		}
		runtime.Gosched()
	}
}

func TestWrongTypeIsSpent(t *testing.T) {
	overAll(t, func(t *testing.T, p pair) {
		ctx := soon(t)
		texts, numbers := open[string](t, p.from, "mixed"), open[int](t, p.to, "mixed")
		good := open[int](t, p.from, "mixed")
		sent := make(chan error, 2)
		go func() {
			sent <- texts.Send(ctx, "not a number")
			sent <- good.Send(ctx, 42)
		}()
		var wrong *channel.TypeError
		if v, err := numbers.Receive(ctx); !errors.As(err, &wrong) || !errors.Is(err, channel.ErrType) || v != 0 {
			t.Fatalf("received %v, %v", v, err)
		}
		if wrong.Got != "string" || wrong.Want != "int" {
			t.Errorf("got %q, want %q", wrong.Got, wrong.Want)
		}
		if v, err := numbers.Receive(ctx); v != 42 || err != nil {
			t.Fatalf("then received %v, %v", v, err)
		}
		for range 2 {
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
	})
}

// What cannot be encoded reaches receivers in the process, and no others.
func TestFuncs(t *testing.T) {
	overAll(t, func(t *testing.T, p pair) {
		ctx := soon(t)
		from, to := open[func() int](t, p.from, "funcs"), open[func() int](t, p.to, "funcs")
		done, cancel := context.WithCancel(ctx)
		defer cancel()
		received := make(chan func() int, 1)
		go func() {
			f, _ := to.Receive(done)
			received <- f
		}()
		err := from.Send(ctx, func() int { return 7 })
		if p.encodes {
			cancel()
			if err == nil || !strings.Contains(err.Error(), "func() int") || !strings.Contains(err.Error(), `"funcs"`) {
				t.Errorf("the error is not clear: %v", err)
			}
			if f := <-received; f != nil {
				t.Error("it was received")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if f := <-received; f() != 7 {
			t.Error("another func was received")
		}
	})
}

// In a process the value itself is handed over, whatever its size.
func TestTooLarge(t *testing.T) {
	overAll(t, func(t *testing.T, p pair) {
		ctx := soon(t)
		from, to := open[[]byte](t, p.from, "large"), open[[]byte](t, p.to, "large")
		large, small := make([]byte, channel.MaxValue+1), []byte("small")
		sent := make(chan error, 2)
		go func() {
			sent <- from.Send(ctx, large)
			sent <- from.Send(ctx, small)
		}()
		got, err := to.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if p.encodes {
			if err := <-sent; !errors.Is(err, channel.ErrTooLarge) {
				t.Errorf("sent: %v", err)
			}
		} else {
			if &got[0] != &large[0] {
				t.Errorf("received a copy of %d bytes", len(got))
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			if got, err = to.Receive(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if string(got) != "small" {
			t.Errorf("received %d bytes", len(got))
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// A context that has ended takes nothing and gives nothing, even if the other
// side waits.
func TestEndedContext(t *testing.T) {
	overAll(t, func(t *testing.T, p pair) {
		ctx := soon(t)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		from, to := open[int](t, p.from, "ended"), open[int](t, p.to, "ended")
		sent := make(chan error, 1)
		go func() { sent <- from.Send(ctx, 1) }()
		until(ctx, t, func() bool { return p.waits("ended") })
		if _, err := to.Receive(ended); !errors.Is(err, context.Canceled) {
			t.Fatalf("received with %v", err)
		}
		if v, err := to.Receive(ctx); v != 1 || err != nil {
			t.Fatalf("received %d, %v", v, err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if err := from.Send(ended, 2); !errors.Is(err, context.Canceled) {
			t.Fatalf("sent with %v", err)
		}
		received := make(chan int, 1)
		go func() {
			v, _ := to.Receive(ctx)
			received <- v
		}()
		if err := from.Send(ended, 3); !errors.Is(err, context.Canceled) {
			t.Fatalf("sent with %v", err)
		}
		if err := from.Send(ctx, 4); err != nil {
			t.Fatal(err)
		}
		if v := <-received; v != 4 {
			t.Errorf("received %d, which was withdrawn", v)
		}
	})
}

func TestCancelWithdraws(t *testing.T) {
	overAll(t, func(t *testing.T, p pair) {
		ctx := soon(t)
		from, to := open[int](t, p.from, "withdraw"), open[int](t, p.to, "withdraw")
		short, cancel := context.WithCancel(ctx)
		sent := make(chan error, 1)
		go func() { sent <- from.Send(short, 1) }()
		until(ctx, t, func() bool { return p.waits("withdraw") })
		cancel()
		if err := <-sent; !errors.Is(err, context.Canceled) {
			t.Fatalf("sent with %v", err)
		}
		go func() { sent <- from.Send(ctx, 2) }()
		if v, err := to.Receive(ctx); v != 2 || err != nil {
			t.Errorf("received %d, %v", v, err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

func TestLeave(t *testing.T) {
	overAll(t, func(t *testing.T, p pair) {
		ctx := soon(t)
		leaver, stayer, to := open[int](t, p.from, "leave"), open[int](t, p.from, "leave"), open[int](t, p.to, "leave")
		sent := make(chan error, 1)
		go func() { sent <- leaver.Send(ctx, 1) }()
		until(ctx, t, func() bool { return p.waits("leave") })
		for range 2 { // again does nothing
			if err := leaver.Leave(); err != nil {
				t.Fatal(err)
			}
		}
		if !p.encodes {
			if err := <-sent; !errors.Is(err, channel.ErrClosed) {
				t.Errorf("the send that waited: %v", err)
			}
		} else if err := <-sent; !errors.Is(err, channel.ErrClosed) {
			t.Errorf("the send that waited: %v", err)
		}
		if err := leaver.Send(ctx, 2); !errors.Is(err, channel.ErrClosed) {
			t.Errorf("a later send: %v", err)
		}
		if _, err := leaver.Receive(ctx); !errors.Is(err, channel.ErrClosed) {
			t.Errorf("a later receive: %v", err)
		}
		go func() { sent <- stayer.Send(ctx, 3) }()
		if v, err := to.Receive(ctx); v != 3 || err != nil {
			t.Errorf("the others received %d, %v", v, err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		if stayer.Name() != "leave" {
			t.Errorf("the channel calls itself %q", stayer.Name())
		}
	})
}

// A receiver that leaves takes nothing with it.
func TestReceiverLeaves(t *testing.T) {
	overAll(t, func(t *testing.T, p pair) {
		ctx := soon(t)
		leaver := open[int](t, p.from, "receiver")
		from, to := open[int](t, p.to, "receiver"), open[int](t, p.to, "receiver")
		received := make(chan error, 1)
		go func() {
			_, err := leaver.Receive(ctx)
			received <- err
		}()
		until(ctx, t, func() bool { return p.waits("receiver") })
		leaver.Leave()
		if err := <-received; !errors.Is(err, channel.ErrClosed) {
			t.Errorf("the receive that waited: %v", err)
		}
		sent := make(chan error, 1)
		go func() { sent <- from.Send(ctx, 5) }()
		if v, err := to.Receive(ctx); v != 5 || err != nil {
			t.Errorf("received %d, %v", v, err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

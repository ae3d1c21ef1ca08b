package sandbox_test

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// handler keeps the requests that it gets.
type handler chan sandbox.Call

func (h handler) Call(c sandbox.Call) { h <- c }

// Pointers and lengths that a guest makes up give errors and nothing else.
func TestHostileGuest(t *testing.T) {
	var out output
	i := start(t, "raw", sandbox.Config{Args: []string{"raw", "hostile"}, Output: out.write, Calls: make(handler, 1)})
	if status, err := wait(t, i); status != 0 || err != nil {
		t.Errorf("Exit: %d, %v", status, err)
	}
	if got, want := out.String(), "done true true 0 EOF\n"; got != want {
		t.Errorf("output %q; want %q", got, want)
	}
}

func TestCallLimits(t *testing.T) {
	for what, want := range map[string]string{
		"ask":   fmt.Sprintf("request %d refused with 42\ntwice: 28\n", sandbox.MaxCalls+1),
		"large": "0 42\n",
	} {
		var out output
		i := start(t, "raw", sandbox.Config{Args: []string{"raw", what}, Output: out.write, Calls: make(handler, sandbox.MaxCalls)})
		if status, err := wait(t, i); status != 0 || err != nil || out.String() != want {
			t.Errorf("%s: %d, %v, %q; want %q", what, status, err, &out, want)
		}
	}
}

func TestNoHandler(t *testing.T) {
	var out output
	i := start(t, "raw", sandbox.Config{Args: []string{"raw", "ask"}, Output: out.write})
	wait(t, i)
	if !strings.HasPrefix(out.String(), "request 1 refused with 52\n") {
		t.Errorf("output %q", &out)
	}
}

// Requests that wait go along with a program, replies too that it has not read.
func TestCallsAcrossMoves(t *testing.T) {
	var out output
	calls := make(handler, 10)
	cfg := sandbox.Config{Args: []string{"raw", "echo"}, Output: out.write, Calls: calls}
	i := start(t, "raw", cfg)
	expect := func(want ...uint64) {
		t.Helper()
		for _, id := range want {
			c := <-calls
			if c.ID != id || c.Kind != uint32(id) || string(c.Payload) != fmt.Sprint("question ", id) {
				t.Errorf("call %+v; want %d", c, id)
			}
		}
		if len(calls) > 0 {
			t.Errorf("another call: %+v", <-calls)
		}
	}
	expect(1, 2, 3)
	out.until(t, "asked")
	i.Reply(99, []byte("nobody asked"))
	if err := i.Pause(within(t)); err != nil {
		t.Fatal(err)
	}
	i.Reply(1, []byte("one"))
	i.Reply(1, []byte("one again"))
	s, err := i.State()
	if err != nil {
		t.Fatal(err)
	}
	var ids []uint64
	for _, c := range s.Calls {
		ids = append(ids, c.ID)
	}
	if !slices.Equal(ids, []uint64{2, 3}) || !bytes.Contains(s.Inbox, []byte("one")) || bytes.Contains(s.Inbox, []byte("again")) {
		t.Errorf("calls %v, inbox %q", ids, s.Inbox)
	}
	// What is written as bytes is read as the same.
	var b bytes.Buffer
	var again sandbox.State
	if err := gob.NewEncoder(&b).Encode(s); err != nil {
		t.Fatal(err)
	}
	if err := gob.NewDecoder(&b).Decode(&again); err != nil || !reflect.DeepEqual(s, again) {
		t.Errorf("gob: %v, %+v became %+v", err, s, again)
	}

	i = move(t, guest(t, "raw"), i, cfg, nil)
	expect(2, 3)
	out.until(t, "1 one\n")
	i.Reply(2, []byte("two"))
	out.until(t, "2 two\n")
	if err := i.Pause(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := i.Continue(); err != nil {
		t.Fatal(err)
	}
	expect(3)
	i.Reply(3, []byte("three"))
	if status, err := wait(t, i); status != 0 || err != nil {
		t.Errorf("Exit: %d, %v", status, err)
	}
	if got, want := out.String(), "asked\n1 one\n2 two\n3 three\ndone <nil>\n"; got != want {
		t.Errorf("output %q; want %q", got, want)
	}
}

// A guest that does not read its replies has no claim to more memory.
func TestInboxLimit(t *testing.T) {
	calls := make(handler, 10)
	i := start(t, "raw", sandbox.Config{Args: []string{"raw", "flood"}, Calls: calls, MemoryLimit: 16 << 20})
	for range 3 {
		<-calls
	}
	if err := i.Pause(within(t)); err != nil {
		t.Fatal(err)
	}
	i.Reply(1, make([]byte, 40<<20))
	i.Reply(2, make([]byte, 40<<20))
	if _, err := wait(t, i); !errors.Is(err, sandbox.ErrMemory) {
		t.Errorf("Exit: %v", err)
	}
}

func TestInvalidState(t *testing.T) {
	i := start(t, "sleep", sandbox.Config{Args: []string{"sleep", "1h"}})
	if err := i.Pause(within(t)); err != nil {
		t.Fatal(err)
	}
	good, err := i.State()
	if err != nil {
		t.Fatal(err)
	}
	for what, edit := range map[string]func(*sandbox.State){
		"fewer pages": func(s *sandbox.State) { s.Pages-- },
		"more pages":  func(s *sandbox.State) { s.Pages++ },
		"call 0":      func(s *sandbox.State) { s.Calls = []sandbox.Call{{}} },
		"call twice":  func(s *sandbox.State) { s.Calls = []sandbox.Call{{ID: 1}, {ID: 1}} },
		"clock":       func(s *sandbox.State) { s.Mono = -1 << 63 },
		"wall clock":  func(s *sandbox.State) { s.Wall = -1 },
		"processor":   func(s *sandbox.State) { s.CPU = -1 },
		"many calls":  func(s *sandbox.State) { s.Calls = make([]sandbox.Call, sandbox.MaxCalls+1) },
		"large calls": func(s *sandbox.State) {
			s.Calls = []sandbox.Call{{ID: 1, Payload: make([]byte, sandbox.MaxCallBytes+1)}}
		},
		"large inbox": func(s *sandbox.State) { s.Inbox = make([]byte, sandbox.MaxInbox+1) },
		"leaving":     func(s *sandbox.State) { s.Globals[program.GlobalPause] = 1 },
		"no g0":       func(s *sandbox.State) { s.G0 = 0 },
	} {
		next, err := guest(t, "sleep").New(sandbox.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := next.Grow(good.Pages); err != nil {
			t.Fatal(err)
		}
		s := good
		edit(&s)
		if err := next.Adopt(s); !errors.Is(err, sandbox.ErrInvalidState) {
			t.Errorf("%s: %v", what, err)
		}
		next.Close()
	}
	next, err := guest(t, "sleep").New(sandbox.Config{MemoryLimit: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := next.Grow(1000); !errors.Is(err, sandbox.ErrMemory) {
		t.Errorf("Grow over the limit: %v", err)
	}
}

// A state that is nonsense harms the guest alone.
func TestNonsense(t *testing.T) {
	for _, edit := range []func(*sandbox.State){
		func(s *sandbox.State) { s.Globals[program.GlobalSP] = 0 },
		func(s *sandbox.State) { s.Globals[program.GlobalSP] = 1<<64 - 1 },
		func(s *sandbox.State) { s.Globals[program.GlobalG] = 1<<64 - 1; s.G0 = 1 },
		func(s *sandbox.State) { s.InLoop = !s.InLoop },
		func(s *sandbox.State) { s.Mono, s.Wall = 0, 1<<63-1 },
		func(s *sandbox.State) { s.Mono, s.Wall = 1<<63-1, 1 },
	} {
		i := start(t, "busy", sandbox.Config{Args: []string{"busy", "forever"}})
		if err := i.Pause(within(t)); err != nil {
			t.Fatal(err)
		}
		i = move(t, guest(t, "busy"), i, sandbox.Config{}, edit)
		i.Kill(nil)
		wait(t, i)
	}
}

// Requests that the host will not hold are refused, and what it holds is given
// back when they have been answered and the replies were read.
func TestHold(t *testing.T) {
	var out output
	most := uint64(100 * sandbox.CallCost)
	i := start(t, "raw", sandbox.Config{
		Args: []string{"raw", "ask"}, Output: out.write, Calls: make(handler, sandbox.MaxCalls),
		Hold: func(size uint64) error {
			if size > most {
				return errors.New("too much")
			}
			return nil
		},
	})
	wait(t, i)
	if !strings.HasPrefix(out.String(), "request 101 refused with 42\n") && !strings.HasPrefix(out.String(), "request 100 refused with 42\n") {
		t.Errorf("output %q", out.String())
	}
}

package guest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/abi"
	"github.com/dstackless/dstackless/tasklet/guest"
	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is the least host of a program that uses the package guest: channels
// between its own goroutines, and other hosts that are new instances.
type peer struct {
	t    *testing.T
	code *sandbox.Code
	out  bytes.Buffer

	mu    sync.Mutex
	name  string
	late  bool
	inst  *sandbox.Instance
	sends map[string][]sandbox.Call
	recvs map[string][]sandbox.Call
	moved chan uint64 // asks for a move, as request id
}

func (p *peer) config() sandbox.Config {
	return sandbox.Config{Args: []string{"talk"}, Calls: p, Output: p.output}
}

// output keeps what the program prints, and hears from it when the channel
// "late" is to work.
func (p *peer) output(b []byte) {
	p.out.Write(b)
	if bytes.HasPrefix(b, []byte("computing")) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.late = true
		p.match("late")
	}
}

func reply(code channel.Code, body string) []byte {
	return abi.AppendReply(nil, uint8(code), []byte(body))
}

// Call answers a request. All that waits is in sends and recvs.
func (p *peer) Call(c sandbox.Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ok := func(body string) { p.inst.Reply(c.ID, reply(channel.CodeOK, body)) }
	switch c.Kind {
	case abi.KindOpen, abi.KindLeave:
		ok("")
	case abi.KindSelf:
		ok("tasklet 1")
	case abi.KindHost:
		ok(p.name)
	case abi.KindSend:
		name, _, _ := abi.ParseSend(c.Payload)
		p.sends[name] = append(p.sends[name], c)
		p.match(name)
	case abi.KindReceive:
		name, _ := abi.ParseString(c.Payload)
		p.recvs[name] = append(p.recvs[name], c)
		p.match(name)
	case abi.KindCancel:
		id, _ := abi.ParseCancel(c.Payload)
		ok("")
		for _, all := range []map[string][]sandbox.Call{p.sends, p.recvs} {
			for name, waiting := range all {
				for n, w := range waiting {
					if w.ID == id {
						all[name] = append(waiting[:n:n], waiting[n+1:]...)
						p.inst.Reply(id, reply(channel.CodeCanceled, "withdrawn"))
						return
					}
				}
			}
		}
	case abi.KindMove:
		to, _ := abi.ParseString(c.Payload)
		if to != "elsewhere" {
			p.inst.Reply(c.ID, reply(channel.CodeOther, "no such peer"))
			return
		}
		p.moved <- c.ID
	}
}

func (p *peer) match(name string) {
	for (name != "late" || p.late) && len(p.sends[name]) > 0 && len(p.recvs[name]) > 0 {
		s, r := p.sends[name][0], p.recvs[name][0]
		p.sends[name], p.recvs[name] = p.sends[name][1:], p.recvs[name][1:]
		_, value, _ := abi.ParseSend(s.Payload)
		p.inst.Reply(s.ID, reply(channel.CodeOK, ""))
		p.inst.Reply(r.ID, reply(channel.CodeOK, string(value)))
	}
}

// move carries the program on in another instance and answers the request.
func (p *peer) move(ctx context.Context, id uint64) error {
	if err := p.inst.Pause(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	old := p.inst
	state, err := old.State()
	if err == nil {
		p.name = "elsewhere"
		p.sends, p.recvs = map[string][]sandbox.Call{}, map[string][]sandbox.Call{}
		p.inst, err = p.code.New(p.config())
	}
	p.mu.Unlock()
	if err != nil {
		return err
	}
	if err := p.inst.Grow(state.Pages); err != nil {
		return err
	}
	copy(p.inst.Memory(), old.Memory())
	old.Close()
	// The move itself is not to be made again.
	for n, c := range state.Calls {
		if c.ID == id {
			state.Calls = append(state.Calls[:n:n], state.Calls[n+1:]...)
			state.Inbox = abi.AppendRecord(state.Inbox, id, reply(channel.CodeOK, ""))
			break
		}
	}
	return errors.Join(p.inst.Adopt(state), p.inst.Continue())
}

func TestProgram(t *testing.T) {
	wasm := filepath.Join(t.TempDir(), "talk.wasm")
	build := exec.Command("go", "build", "-o", wasm, "./testdata/talk")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	code, err := os.ReadFile(wasm)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := program.Load(code)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	engine, err := sandbox.NewRuntime(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	p := &peer{t: t, name: "here", sends: map[string][]sandbox.Call{}, recvs: map[string][]sandbox.Call{}, moved: make(chan uint64, 1)}
	if p.code, err = engine.Compile(ctx, prog); err != nil {
		t.Fatal(err)
	}
	if p.inst, err = p.code.New(p.config()); err != nil {
		t.Fatal(err)
	}
	if err := p.inst.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { p.inst.Close() }()
	for running := true; running; {
		select {
		case id := <-p.moved:
			if err := p.move(ctx, id); err != nil {
				t.Fatal(err)
			}
		case <-p.inst.Done():
			running = false
		case <-ctx.Done():
			t.Fatalf("the program does not come to its end; it printed\n%s", &p.out)
		}
	}
	status, err := p.inst.Exit()
	want := strings.Join([]string{
		"I am tasklet 1 on here",
		"now on elsewhere <nil>",
		"sum 4950",
		`receive: channel: receive on "numbers": context deadline exceeded true`,
		`move: guest: move to "nowhere": no such peer`,
		"withdrawn: enough",
		"accepted 8 bytes, <nil>",
		"received: <nil> <nil>",
		"left: channel closed",
		"computing",
		"late: 9",
		"busy: 7 <nil>",
		"",
	}, "\n")
	if status != 0 || err != nil || p.out.String() != want {
		t.Errorf("status %d, %v, output\n%s\nwant\n%s", status, err, &p.out, want)
	}
}

// Natively there is no host, and all say so.
func TestNotGuest(t *testing.T) {
	ctx := context.Background()
	_, host := guest.Host(ctx)
	_, id := guest.ID(ctx)
	_, open := channel.Open[int](ctx, guest.Space(), "numbers")
	_, ref := guest.Ref{ID: "x"}.Open(ctx)
	for what, err := range map[string]error{"move": guest.Move(ctx, "x"), "host": host, "id": id, "open": open, "ref": ref} {
		if !errors.Is(err, guest.ErrNotGuest) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A program stays small: none of what the network needs gets into it.
func TestDependencies(t *testing.T) {
	list := exec.Command("go", "list", "-deps", ".")
	list.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	const own = "github.com/dstackless/dstackless/"
	allowed := map[string]bool{own + "channel": true, own + "codec": true, own + "tasklet/abi": true, own + "tasklet/guest": true}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		first, _, _ := strings.Cut(dep, "/")
		switch {
		case dep == "net", strings.HasPrefix(dep, "net/"), strings.HasPrefix(dep, "crypto/"):
			t.Errorf("the package guest depends on %s, which makes every program larger", dep)
		case strings.Contains(first, ".") && !allowed[dep]:
			t.Errorf("the package guest depends on %s, which does not belong into programs", dep)
		}
	}
}

func Example() {
	ctx := context.Background()
	greetings, err := channel.Open[string](ctx, guest.Space(), "greetings")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer greetings.Leave()
	if err := guest.Move(ctx, os.Args[1]); err != nil {
		fmt.Println(err)
	}
	host, _ := guest.Host(ctx)
	greetings.Send(ctx, "hello from "+host)
}

// A program brings tasklets to where it is itself, and tells how they end.
func ExampleRef_Open() {
	ctx := context.Background()
	wards, err := channel.Open[guest.Ref](ctx, guest.Space(), "wards")
	if err != nil {
		fmt.Println(err)
		return
	}
	for ref, err := range wards.All(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		ward, err := ref.Open(ctx)
		if err != nil {
			fmt.Println(err)
			continue
		}
		host, _ := guest.Host(ctx)
		if err := ward.Move(ctx, host); err != nil && !errors.Is(err, guest.ErrSelf) {
			fmt.Println(err)
		}
		go func() {
			status, err := ward.Wait(ctx)
			fmt.Println(ward.ID(), "ended with status", status, err)
		}()
	}
}

package tasklet_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// private is a path that only one machine should know.
const private = "/private/folder/of/this/machine"

// A teller fails with what a machine says that is not its home.
type teller struct{ How, Home string }

var tells = tasklet.Func("tells", func(ctx context.Context, self *tasklet.Self, s *teller) error {
	if fmt.Sprint(self.Host()) == s.Home {
		<-ctx.Done()
		return ctx.Err()
	}
	_, path := os.Open(private)
	switch s.How {
	case "path":
		return fmt.Errorf("read the list: %w", path)
	case "address":
		_, err := net.Dial("tcp", "127.0.0.1:1")
		return err
	case "panic":
		panic(path)
	}
	<-ctx.Done()
	return ctx.Err()
})

// Other peers hear kinds of errors, and nothing of a machine's files and network.
func TestErrorsStayHome(t *testing.T) {
	ctx := within(t, patience)
	opts := func() *tasklet.Options {
		return &tasklet.Options{AcceptAny: true, Functions: []tasklet.AnyFunction{tells}}
	}
	home, away, gone := startPeer(t, tcp, opts()), startPeer(t, tcp, opts()), startPeer(t, tcp, opts())
	must[p2p.ID](t)(home.node.Connect(ctx, away.node.Addrs()[0]))
	must[p2p.ID](t)(gone.node.Connect(ctx, away.node.Addrs()[0]))
	silent := func(what string, err error) {
		t.Helper()
		text := fmt.Sprint(err)
		if crash := (*tasklet.CrashError)(nil); errors.As(err, &crash) {
			text += "\n" + crash.Stack
			if !strings.Contains(text, "public_test.go:") {
				t.Errorf("%s: no stack trace: %s", what, text)
			}
		}
		for _, word := range []string{private, "127.0.0.1", "/src/", "tasklet/public_test.go", "connection refused"} {
			if err == nil || strings.Contains(text, word) {
				t.Errorf("%s tells of %q: %v", what, word, text)
			}
		}
	}

	for how, want := range map[string]string{"path": "read the list: no such file or directory", "address": "", "panic": ""} {
		tl := must[*tasklet.Tasklet](t)(home.Go(ctx, tells(teller{how, home.id()})))
		if err := tl.Move(ctx, away.id()); err != nil {
			t.Fatal(err)
		}
		_, err := tl.Wait(ctx)
		silent(how, err)
		if want != "" && err.Error() != want {
			t.Errorf("%s: %q, want %q", how, err, want)
		}
	}

	tl := must[*tasklet.Tasklet](t)(home.Go(ctx, tells(teller{"stays", home.id()})))
	if err := tl.Move(ctx, away.id()); err != nil {
		t.Fatal(err)
	}
	id := gone.id()
	gone.node.Close()
	silent("a move", tl.Move(ctx, id))
}

// What is told of an error is its text without what is local, and all its kinds.
func TestPublicText(t *testing.T) {
	path := &os.PathError{Op: "open", Path: private, Err: syscall.ENOSPC}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errors.New("plain"), "plain"},
		{path, "no space left on device"},
		{fmt.Errorf("%w: save: %w", tasklet.ErrRefused, path), "refused: save: no space left on device"},
		{errors.Join(path, errors.New("and more")), "no space left on device\nand more"},
		{&os.LinkError{Op: "rename", Old: private, New: private, Err: syscall.EACCES}, "permission denied"},
		{&os.PathError{Op: "open", Path: private, Err: path}, "no space left on device"},
		{fmt.Errorf("dial: %w", &net.DNSError{Err: "no such host", Name: "x", Server: "10.0.0.1:53"}), "dial: the network of the peer does not allow it"},
		{&reworded{"cannot use " + private, errors.Join(tasklet.ErrNoDisk, path)}, tasklet.ErrNoDisk.Error()},
		{&reworded{"cannot use " + private, path}, "the peer failed; its log says why"},
	} {
		got := tasklet.Public(tt.err)
		if got.Error() != tt.want {
			t.Errorf("%v becomes %q, want %q", tt.err, got, tt.want)
		}
		if !errors.Is(got, tt.err) {
			t.Errorf("%v is of another kind", got)
		}
	}
}

// A reworded error has a text that is not made of those of what it wraps.
type reworded struct {
	text string
	error
}

func (r *reworded) Error() string { return r.text }
func (r *reworded) Unwrap() error { return r.error }

//go:build linux

package main_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dstackless/dstackless/examples/nat/internal/lab"
)

// long has every combination tried of what is told apart; else a choice of them.
var long = flag.Bool("long", false, "change addresses in every combination of transport, NAT and peer")

// sideBySide is how many networks there are at a time, unless -parallel says.
const sideBySide = 6

const module = "github.com/dstackless/dstackless"

// TestMain runs the tests in namespaces of their own.
func TestMain(m *testing.M) {
	flag.Parse()
	if _, inside := lab.Inside(); inside {
		// A network waits most of the time.
		side := true
		flag.Visit(func(f *flag.Flag) { side = side && f.Name != "test.parallel" })
		if side {
			flag.Set("test.parallel", fmt.Sprint(sideBySide))
		}
		os.Exit(m.Run())
	}
	os.Exit(outside())
}

func outside() int {
	dir, err := os.MkdirTemp("", "nat")
	if err == nil {
		defer os.RemoveAll(dir)
		err = lab.Build(context.Background(), dir, module, module+"/examples/nat/program")
	}
	var status int
	if err == nil {
		status, err = lab.Enter(dir)
	}
	switch {
	case err == nil:
		return status
	case errors.Is(err, lab.ErrNone) && os.Getenv("CI") != "true":
		fmt.Println("skipped:", err)
		return 0
	}
	fmt.Println("FAIL:", err)
	return 1
}

// built is the folder with what TestMain built.
func built() string {
	dir, _ := lab.Inside()
	return dir
}

// world is two sites, each behind a NAT with one host in it, and a public
// segment on which two relays are.
type world struct {
	*testing.T
	lab            *lab.Lab
	dir            string
	public         *lab.Segment
	lanA, lanB     *lab.Segment
	natA, natB     *lab.Host
	hostA, hostB   *lab.Host
	hostR1, hostR2 *lab.Host
}

func must[V any](t testing.TB) func(V, error) V {
	return func(v V, err error) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func newWorld(t *testing.T, a, b lab.Kind) *world {
	t.Helper()
	l := must[*lab.Lab](t)(lab.New())
	t.Cleanup(func() { l.Close() })
	w := &world{T: t, lab: l, dir: t.TempDir()}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.public, err = l.Segment("public")
	check(err)
	w.hostR1 = must[*lab.Host](t)(l.Host("relay1", w.public, "192.0.0.131/25"))
	w.hostR2 = must[*lab.Host](t)(l.Host("relay2", w.public, "192.0.0.132/25"))
	w.lanA, w.natA, err = l.Site("a", a, w.public, "192.0.0.141/25", "192.168.1.1/24")
	check(err)
	w.lanB, w.natB, err = l.Site("b", b, w.public, "192.0.0.142/25", "192.168.2.1/24")
	check(err)
	w.hostA = must[*lab.Host](t)(l.Host("a", w.lanA, "192.168.1.2/24"))
	w.hostB = must[*lab.Host](t)(l.Host("b", w.lanB, "192.168.2.2/24"))
	check(l.Sealed())
	return w
}

// key returns a file with a new network key.
func (w *world) key(name string) string {
	w.Helper()
	file := filepath.Join(w.dir, name)
	text := must[string](w)(lab.NewKey(within(w, time.Minute), filepath.Join(built(), "dspeer")))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	return file
}

// peer starts a dspeer.
func (w *world) peer(h *lab.Host, args ...string) *lab.Peer {
	w.Helper()
	p, err := lab.StartPeer(within(w, 30*time.Second), filepath.Join(built(), "dspeer"), w.dir, h, args...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		p.Kill()
		if w.Failed() {
			w.Logf("%s %s:\n%s", h.Name, p.ID, p.Log())
		}
	})
	return p
}

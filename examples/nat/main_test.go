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
	"github.com/dstackless/dstackless/tasklet"
)

// long has every combination tried of what is told apart; else a choice of them.
var long = flag.Bool("long", false, "change addresses in every combination of transport, NAT and peer")

// sideBySide is how many networks there are at a time, unless -parallel says.
const sideBySide = 6

const module = "github.com/dstackless/dstackless"

// TestMain runs the tests in namespaces of their own.
func TestMain(m *testing.M) {
	tasklet.RunCompiler()
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
	plan           plan
	dir            string
	public         *lab.Segment
	lanA, lanB     *lab.Segment
	natA, natB     *lab.Host
	hostA, hostB   *lab.Host
	hostR1, hostR2 *lab.Host
}

// A plan says what addresses there are: those of IPv4 on the public segment begin
// with four, if there are any.
type plan struct {
	four string
	six  bool
}

// nowhere begins addresses that libp2p takes for public ones, and that exist
// nowhere. Those of IPv6 are for documentation (RFC 9637).
var nowhere = plan{four: "192.0.0."}

// outside returns the addresses of a host on the public segment.
func (p plan) outside(host int) (addrs string) {
	if p.four != "" {
		addrs = fmt.Sprintf("%s%d/25 ", p.four, host)
	}
	if p.six {
		addrs += fmt.Sprintf("3fff::%d/64", host)
	}
	return addrs
}

// inside returns the addresses of a host on the LAN of a site.
func (p plan) inside(site, host int) (addrs string) {
	if p.four != "" {
		addrs = fmt.Sprintf("192.168.%d.%d/24 ", site, host)
	}
	if p.six {
		addrs += fmt.Sprintf("3fff:%d::%d/64", site, host)
	}
	return addrs
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

func newWorld(t *testing.T, a, b lab.Kind) *world { return nowhere.world(t, a, b) }

func (p plan) world(t *testing.T, a, b lab.Kind) *world {
	t.Helper()
	l := must[*lab.Lab](t)(lab.New())
	t.Cleanup(func() { l.Close() })
	w := &world{T: t, lab: l, plan: p, dir: t.TempDir()}
	var err error
	w.public, err = l.Segment("public")
	w.check(err)
	w.hostR1 = must[*lab.Host](t)(l.Host("relay1", w.public, p.outside(131)))
	w.hostR2 = must[*lab.Host](t)(l.Host("relay2", w.public, p.outside(132)))
	w.lanA, w.natA, err = l.Site("a", a, w.public, p.outside(141), p.inside(1, 1))
	w.check(err)
	w.lanB, w.natB, err = l.Site("b", b, w.public, p.outside(142), p.inside(2, 1))
	w.check(err)
	w.hostA = must[*lab.Host](t)(l.Host("a", w.lanA, p.inside(1, 2)))
	w.hostB = must[*lab.Host](t)(l.Host("b", w.lanB, p.inside(2, 2)))
	w.check(l.Sealed())
	return w
}

func (w *world) check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
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

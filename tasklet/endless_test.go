package tasklet_test

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/peertest/crafted"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/program"
)

// However a module that the Go compiler did not make runs for ever, its tasklet can
// be killed, is ended when its processor time is over, and does not keep its
// host from being closed.
func TestEndless(t *testing.T) {
	ctx := within(t, patience)
	for name, m := range crafted.Endless() {
		t.Run(name, func(t *testing.T) {
			free := startPeer(t, tcp, nil)
			limited := startPeer(t, tcp, &tasklet.Options{Limits: tasklet.Limits{CPU: 100 * time.Millisecond}})
			tl := must[*tasklet.Tasklet](t)(limited.Spawn(ctx, m.Bytes()))
			if _, err := tl.Wait(ctx); !errors.Is(err, tasklet.ErrLimit) {
				t.Errorf("over its processor time: %v", err)
			}
			tl = must[*tasklet.Tasklet](t)(free.Spawn(ctx, m.Bytes()))
			runtime.GC()
			if err := tl.Kill(ctx); err != nil {
				t.Error(err)
			}
			if _, err := tl.Wait(ctx); !errors.Is(err, tasklet.ErrKilled) {
				t.Errorf("killed: %v", err)
			}
			must[*tasklet.Tasklet](t)(free.Spawn(ctx, m.Bytes()))
			if err := free.Host.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A module that is not valid WebAssembly is none that can be a tasklet: here it sets
// the counter that lets its host in, which is not its own.
func TestInvalidProgram(t *testing.T) {
	p := startPeer(t, tcp, nil)
	m := crafted.Program(crafted.Function{Type: crafted.GoFunction, Body: "\x00\x03\x40\x41\xc0\x84\x3d\x24\x08\x0c\x00\x0b\x41\x00\x0b"})
	if _, err := p.Spawn(within(t, patience), m.Bytes()); !errors.Is(err, tasklet.ErrProgram) {
		t.Errorf("error %v", err)
	}
}

// A program may be larger where it is started than where it comes to.
func TestLargeProgram(t *testing.T) {
	ctx := within(t, patience)
	home, away := startPeer(t, tcp, nil), startPeer(t, tcp, &tasklet.Options{AcceptAny: true})
	must[p2p.ID](t)(home.node.Connect(ctx, away.node.Addrs()[0]))
	m := crafted.Endless()["loop"]
	m.Customs["padding"] = make([]byte, program.MaxForeignModule)
	if _, err := program.Load(m.Bytes()); err != nil {
		t.Fatal(err)
	}
	tl := must[*tasklet.Tasklet](t)(home.Spawn(ctx, m.Bytes()))
	if err := tl.Move(ctx, away.id()); !errors.Is(err, tasklet.ErrProgram) {
		t.Errorf("error %v", err)
	}
	if err := tl.Kill(ctx); err != nil {
		t.Error(err)
	}
}

package peertest_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/dstackless/dstackless/peertest"
	"github.com/dstackless/dstackless/peertest/guests"
)

// A move is stopped at a step of it, between processes.
func TestMoveStopsAtStep(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	wasm, err := guests.Build("testdata/stay", filepath.Join(dirs[0], "compiled"))
	if err != nil {
		t.Fatal(err)
	}
	if err := guests.Compile(wasm, filepath.Join(dirs[1], "compiled")); err != nil {
		t.Fatal(err)
	}
	ctx := within(t, 2*time.Minute)
	a := peertest.StartProcess(t, &peertest.ProcessOptions{DataDir: dirs[0]})
	b := peertest.StartProcess(t, &peertest.ProcessOptions{DataDir: dirs[1], Bootstrap: a.Addrs()[:1]})
	id, err := a.Spawn(ctx, wasm)
	if err != nil {
		t.Fatal(err)
	}
	here := func(p *peertest.Process) bool {
		list, err := p.Tasklets(ctx)
		return err == nil && len(list) == 1 && list[0].Host == p.ID()
	}
	if !here(a) || here(b) {
		t.Error("the tasklet is not where it was started")
	}
	prepared := b.StopAt(peertest.Step{Frame: peertest.Prepared})
	commit := a.StopAt(peertest.Step{Frame: peertest.Commit, When: peertest.Sent})
	moved := make(chan error, 1)
	go func() { moved <- a.Move(ctx, id, b.ID()) }()
	for _, s := range []*peertest.ProcessStop{prepared, commit} {
		if err := s.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-moved:
			t.Fatalf("moved before the end: %v", err)
		default:
		}
		s.Go()
	}
	if err := <-moved; err != nil || !here(b) {
		t.Errorf("moved: %v", err)
	}
	b.Kill()
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := a.Move(short, id, a.ID()); err == nil {
		t.Error("moved back from a peer that was killed")
	}
}

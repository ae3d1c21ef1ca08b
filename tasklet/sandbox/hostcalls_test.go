package sandbox_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/dstackless/dstackless/peertest/crafted"
	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// What the host does for a guest is the guest's processor time: one that asks
// without end for what costs the host much, and itself nothing, is ended as soon
// as it would be if it computed.
func TestHostCallsCost(t *testing.T) {
	ready := make([]byte, 48*sandbox.MaxSubscriptions)
	for n := range sandbox.MaxSubscriptions {
		ready[48*n+8] = 1 // to be able to read
	}
	large := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, crafted.Data), 512<<10)
	for name, m := range map[string]*crafted.Module{
		"poll":   crafted.Asking("poll_oneoff", ready, crafted.Data, 512<<10, sandbox.MaxSubscriptions, 8),
		"random": crafted.Asking("random_get", nil, crafted.Data, 1000<<10),
		"write":  crafted.Asking("fd_write", large, 1, crafted.Data, 1, 8),
	} {
		t.Run(name, func(t *testing.T) {
			code := craft(t, m)
			began := time.Now()
			output := func([]byte) { time.Sleep(time.Millisecond) } // as slow as a disk
			i := run(t, code, sandbox.Config{CPULimit: 200 * time.Millisecond, Output: output, MemoryLimit: 64 << 20})
			if status, err := wait(t, i); status != -1 || !errors.Is(err, sandbox.ErrCPU) {
				t.Errorf("%d, %v", status, err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it lived for %v", took)
			}
			t.Logf("it lived for %v", time.Since(began))
		})
	}
}

// A guest may wait for so many things at a time; the Go runtime waits for a few.
func TestSubscriptionsLimit(t *testing.T) {
	v := newVictim(t)
	poll := program.Import{Module: "wasi_snapshot_preview1", Name: "poll_oneoff"}
	ready := v.Memory()[scratch:]
	for n := range sandbox.MaxSubscriptions + 1 {
		ready[48*n+8] = 1 // to be able to read
	}
	for n, want := range map[uint64]uint32{sandbox.MaxSubscriptions: 0, sandbox.MaxSubscriptions + 1: 28} {
		if errno := v.call(t, poll, []uint64{scratch, 1 << 17, n, 1 << 16}); errno != want {
			t.Errorf("%d subscriptions: %d, want %d", n, errno, want)
		}
	}
}

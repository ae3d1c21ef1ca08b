//go:build unix

package tasklet_test

import (
	"syscall"
	"testing"
)

// The peer that started a tasklet says nothing any more in the middle of a move
// between two others, and is still connected to both. It has no part in the move.
func TestSilentOrigin(t *testing.T) {
	silence := func(table []killing, always string, do string, args ...string) {
		for _, k := range table {
			if k.step != always && !*long {
				continue
			}
			t.Run(do+" at "+k.step, func(t *testing.T) {
				t.Parallel()
				ctx := within(t, patience)
				k.other = ""
				s := k.play(ctx, t, true, disks{}, do, args...)
				s.o.cmd.Process.Signal(syscall.SIGSTOP)
				must[answer](t)(s.stopped.ask(ctx, "pass"))
				if a := <-s.moved; a.Error != "" {
					t.Errorf("the move failed: %s", a.Error)
				}
				if s.a.live(ctx, s.id) || !s.b.live(ctx, s.id) {
					t.Error("the tasklet is not at the destination alone")
				}
				s.o.cmd.Process.Signal(syscall.SIGCONT)
				s.o.counted(ctx, s.id, s.lines+100)
			})
		}
	}
	silence(programKillings, "offer", "spawn", programFile(t, "plain"), "1000000")
	silence(functionKillings, "prepared", "go")
}

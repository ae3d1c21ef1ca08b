package tasklet_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// smallDisk mounts a disk of so many bytes, as "64m".
func smallDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=700"); err != nil {
		t.Skipf("no disk can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes to a file on the disk until the disk is full, and returns the file.
func fill(t *testing.T, dir string) (ballast string) {
	t.Helper()
	ballast = filepath.Join(dir, "ballast")
	f := must[*os.File](t)(os.OpenFile(ballast, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600))
	defer f.Close()
	var err error
	for chunk := make([]byte, 4096); err == nil; {
		_, err = f.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return ballast
}

// Tasklets leave a peer whose disk is full, and do not come back when it is started
// again; one that stays is recorded again when there is room.
func TestLeaveFullDisk(t *testing.T) {
	ctx := within(t, patience)
	dir := smallDisk(t, "112m")
	host := startAt(t, dir, tcp)
	other := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Functions: functions})
	must[p2p.ID](t)(host.node.Connect(ctx, other.node.Addrs()[0]))
	stays := spawn(ctx, t, host, "zoo", "hoard", "8")
	if err := stays.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	var ballast string
	for _, leaves := range []*tasklet.Tasklet{
		must[*tasklet.Tasklet](t)(host.Go(ctx, prints(0))),
		spawn(ctx, t, host, "zoo", "hoard", "8"),
		spawn(ctx, t, host, "zoo", "hoard", "8"),
	} {
		fill(t, dir)
		if err := stays.Checkpoint(ctx); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("a checkpoint on a full disk: %v", err)
		}
		ballast = fill(t, dir)
		if err := leaves.Move(ctx, other.id()); err != nil {
			t.Errorf("off a full disk: %v", err)
		}
		if host.Live(leaves.ID()) || !other.Live(leaves.ID()) {
			t.Errorf("it is here: %v, and there: %v", host.Live(leaves.ID()), other.Live(leaves.ID()))
		}
	}
	if err := errors.Join(os.Remove(ballast), stays.Checkpoint(ctx)); err != nil {
		t.Errorf("a checkpoint when there is room again: %v", err)
	}
	host.close()
	host = startAt(t, dir, tcp)
	if all := host.List(); len(all) != 4 {
		t.Errorf("%d tasklets are known after a restart", len(all))
	}
	for _, l := range host.List() {
		if host.Here(l.ID) != (l.ID == stays.ID()) {
			t.Errorf("%s is here after a restart: %v", l.ID, host.Here(l.ID))
		}
	}
}

// A peer with a full disk is killed while a tasklet leaves it: exactly one peer has
// the tasklet, and goes on from a record that is true.
func TestKilledOnFullDisk(t *testing.T) {
	for _, c := range []struct{ step, at string }{{"offer", source}, {"prepared", source}, {"commit", destination}, {"forward", destination}} {
		t.Run(c.step, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, patience)
			dir := smallDisk(t, "112m")
			a, b, o := startProcessAt(t, dir, true, c.step), startProcess(t, true, ""), startProcess(t, true, "")
			a.connect(ctx, b)
			o.connect(ctx, a)
			o.connect(ctx, b)
			id := must[answer](t)(o.ask(ctx, "spawn", programFile(t, "plain"), "1000000")).Value
			must[answer](t)(o.ask(ctx, "move", id, a.id))
			lines := o.counted(ctx, id, 20)
			ballast := fill(t, dir)
			a.reaches(ctx, c.step, a.begin("move", id, b.id))
			a.kill()
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			a.settings.Stop = ""
			a.start()
			a.connect(ctx, b)
			o.connect(ctx, a)
			alone := func() bool {
				return a.live(ctx, id) == (c.at == source) && b.live(ctx, id) == (c.at == destination)
			}
			eventually(ctx, t, "the tasklet at the "+c.at+" alone", alone)
			o.counted(ctx, id, lines+100)
			eventually(ctx, t, "the tasklet at the "+c.at+" alone, later", alone)
		})
	}
}

package tasklet_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/diskspace"
)

// A real disk that is small never becomes full of what others bring. TestFullDisk
// is the same where no disk can be mounted.
func TestSmallDisk(t *testing.T) {
	ctx := within(t, patience)
	dir := smallDisk(t, "112m")
	host := must[*peer](t)(newPeer(dir, tcp, &tasklet.Options{DataDir: dir, CacheDir: cache, AcceptAny: true}))
	defer host.close()
	other := startPeer(t, tcp, &tasklet.Options{AcceptAny: true})
	must[p2p.ID](t)(other.node.Connect(ctx, host.node.Addrs()[0]))
	refused := 0
	for range 6 {
		err := spawn(ctx, t, other, "zoo", "hoard", "16").Move(ctx, host.id())
		switch {
		case errors.Is(err, tasklet.ErrRefused) && strings.Contains(err.Error(), diskspace.ErrLow.Error()):
			refused++
		case err != nil:
			t.Fatal(err)
		}
		var s unix.Statfs_t
		if err := unix.Statfs(dir, &s); err != nil {
			t.Fatal(err)
		}
		if free := s.Bavail * uint64(s.Bsize); free < diskspace.Reserve*3/4 {
			t.Errorf("%d bytes are left", free)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	own := spawn(ctx, t, host, "zoo", "hoard", "16")
	if err := errors.Join(own.Suspend(ctx), own.Resume(ctx), own.Kill(ctx)); err != nil {
		t.Errorf("one's own: %v", err)
	}
}

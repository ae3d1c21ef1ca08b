package tasklet_test

import (
	"bufio"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// Committed is the state of a move whose source has given the tasklet up.
const committed = 2

// outcome asks a source what became of a move.
func outcome(t *testing.T, from *p2p.Node, at *peer, move [16]byte) (state uint8) {
	t.Helper()
	s := knock(t, from, at)
	s.say(control, struct{ Outcome [16]byte }{move})
	tag, body := s.hear()
	var r struct{ Outcome uint8 }
	if tag != reply || codec.Unmarshal(body, &r) != nil {
		t.Fatalf("message %d", tag)
	}
	return r.Outcome
}

// The word that a tasklet was given up is kept until its destination has heard it,
// or for as long as the peer runs, whatever the time of day is said to be.
func TestCommitIsRemembered(t *testing.T) {
	dir := t.TempDir()
	source := startAt(t, dir, tcp)
	dest := rawNode(t, source)
	_, move := source.Commit(dest.ID(), "")
	source.Run(tasklet.OutcomeRetention / 2)
	source.close()
	source = startAt(t, dir, tcp)
	must[p2p.ID](t)(dest.Connect(t.Context(), source.node.Addrs()[0]))
	if got := outcome(t, dest, source, move); got != committed {
		t.Errorf("outcome %d after half the time", got)
	}
	source.Run(tasklet.OutcomeRetention/2 + time.Hour)
	if got := outcome(t, dest, source, move); got == committed {
		t.Error("it is kept for ever")
	}
}

// What others make a host remember has bounds.
func TestBoundsOfMemory(t *testing.T) {
	ctx := within(t, time.Minute)
	peers := functionPeers(t, 2)
	source := peers[0]
	departed, sighted := source.Forwards(tasklet.MaxDeparted + 100)
	if departed != tasklet.MaxDeparted || sighted != tasklet.MaxSighted {
		t.Errorf("%d tasklets that left, %d that were seen", departed, sighted)
	}
	if n, bytes := source.End(tasklet.MaxEnded+100, 10); n != tasklet.MaxEnded || bytes != 10*tasklet.MaxEnded {
		t.Errorf("%d tasklets that ended, %d bytes", n, bytes)
	}
	if n, bytes := source.End(300, 1<<20); n > 256 || bytes > tasklet.MaxEndedBytes {
		t.Errorf("%d tasklets that ended, %d bytes", n, bytes)
	}
	// A move that was refused leaves nothing, and neither does one that succeeded.
	refuses := startPeer(t, tcp, nil)
	must[p2p.ID](t)(source.node.Connect(ctx, refuses.node.Addrs()[0]))
	tl := must[*tasklet.Tasklet](t)(source.Go(ctx, prints(0)))
	for range 10 {
		if err := tl.Move(ctx, refuses.id()); !errors.Is(err, tasklet.ErrRefused) {
			t.Fatal(err)
		}
	}
	if n := source.Outcomes(); n != 0 {
		t.Errorf("%d outcomes are kept of moves that were refused", n)
	}
	// A destination that does not confirm gets no more, and others do.
	mute := rawNode(t, source)
	for range tasklet.MaxUnconfirmedTo {
		source.Commit(mute.ID(), "")
	}
	if err := tl.Move(ctx, mute.ID().String()); !errors.Is(err, tasklet.ErrLimit) || !strings.Contains(err.Error(), "not confirmed") {
		t.Errorf("to a destination that confirms nothing: %v", err)
	}
	if err := tl.Move(ctx, peers[1].id()); err != nil {
		t.Errorf("to another: %v", err)
	}
	if n := source.Outcomes(); n != tasklet.MaxUnconfirmedTo {
		t.Errorf("%d outcomes are kept", n)
	}
	// All of them together have a bound, too, and so have those of one bringer.
	tl = must[*tasklet.Tasklet](t)(source.Go(ctx, prints(0)))
	for source.Outcomes() < tasklet.MaxUnconfirmed {
		source.Commit(must[p2p.ID](t)(p2p.ParseID(good().Origin)), "")
	}
	if err := tl.Move(ctx, peers[1].id()); !errors.Is(err, tasklet.ErrLimit) {
		t.Errorf("with as many as may be: %v", err)
	}
}

// A destination is asked for its confirmation, and those that do not answer do not
// stand in its way.
func TestConfirmations(t *testing.T) {
	peers := functionPeers(t, 1)
	source := peers[0]
	deaf, dest := rawNode(t, source), rawNode(t, source)
	deaf.Handle(tasklet.Protocol, func(s p2p.Stream) { s.Reset() })
	dest.Handle(tasklet.Protocol, func(s p2p.Stream) {
		defer s.Close()
		st := &stranger{t, s, bufio.NewReader(s)}
		st.hear()
		st.say(reply, struct{ Outcome uint8 }{1})
	})
	for range 3 {
		source.Commit(deaf.ID(), "")
		source.Commit(dest.ID(), "")
	}
	source.ConfirmNow()
	if n := source.Outcomes(); n != 6 {
		t.Errorf("%d outcomes are left of moves that are under way", n)
	}
	source.Run(time.Minute)
	source.ConfirmNow()
	if n := source.Outcomes(); n != 3 {
		t.Errorf("%d outcomes are left; want those of the deaf destination", n)
	}
}

package peertest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/peertest"
)

// A trio is a channel whose home only makes matches.
type trio struct {
	*peertest.Network
	home, sender, receiver int
	from, to               *channel.Channel[string]
}

func newTrio(t *testing.T, opts *peertest.Options) *trio {
	nw := peertest.New(t, 3, opts)
	var ends []*channel.Channel[string]
	for _, p := range nw.Peers() {
		ends = append(ends, open(t, p, "steps"))
	}
	home, err := nw.Home(within(t, 30*time.Second), "steps")
	if err != nil {
		t.Fatal(err)
	}
	s, r := (home+1)%3, (home+2)%3
	return &trio{nw, home, s, r, ends[s], ends[r]}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// begin begins a send and a receive.
func (x *trio) begin(t *testing.T) (sent, received chan error) {
	ctx := within(t, 40*time.Second)
	sent, received = make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := x.to.Receive(ctx)
		received <- err
	}()
	until(t, "the receive is known to the home", func() bool { return x.Peer(x.receiver).Channels()[0].Receives > 0 })
	go func() { sent <- x.from.Send(ctx, "value") }()
	return sent, received
}

func (x *trio) stand(t *testing.T, s *peertest.Stop) {
	t.Helper()
	if err := s.Wait(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
}

func TestStopAndGo(t *testing.T) { each(t, testStopAndGo) }

func testStopAndGo(t *testing.T, opts *peertest.Options) {
	x := newTrio(t, opts)
	stop := x.StopAt(x.receiver, peertest.Step{Frame: peertest.Deliver, When: peertest.Receiving})
	never := x.StopAt(x.receiver, peertest.Step{Frame: peertest.Deliver, When: peertest.Receiving, Skip: 1000})
	sent, received := x.begin(t)
	x.stand(t, stop)
	select {
	case err := <-received:
		t.Errorf("received what has not come: %v", err)
	case err := <-sent:
		t.Errorf("sent what was not received: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	stop.Go()
	if err := errors.Join(<-received, <-sent); err != nil {
		t.Error(err)
	}
	stop.Go()
	never.Go()
	if err := never.Wait(within(t, time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a step that was not reached: %v", err)
	}
}

func TestKillBeforeDeliver(t *testing.T) { each(t, testKillBeforeDeliver) }

func testKillBeforeDeliver(t *testing.T, opts *peertest.Options) {
	x := newTrio(t, opts)
	stop := x.StopAt(x.sender, peertest.Step{Frame: peertest.Deliver})
	sent, received := x.begin(t)
	x.stand(t, stop)
	x.Kill(x.sender)
	if err := <-sent; err == nil {
		t.Error("sent by a peer that was killed before")
	}
	// The receive waits still, and takes the next value.
	if err := open(t, x.Peer(x.home), "steps").Send(within(t, 40*time.Second), "next"); err != nil {
		t.Error(err)
	}
	if err := <-received; err != nil {
		t.Error(err)
	}
}

// In virtual time alone: the sender is patient.
func TestKillBeforeAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { testKillBeforeAccept(t, &peertest.Options{Simulated: true}) })
}

func testKillBeforeAccept(t *testing.T, opts *peertest.Options) {
	x := newTrio(t, opts)
	stop := x.StopAt(x.receiver, peertest.Step{Frame: peertest.Accept})
	sent, received := x.begin(t)
	x.stand(t, stop)
	if err := <-received; err != nil {
		t.Error(err)
	}
	x.Kill(x.receiver)
	if err := <-sent; !errors.Is(err, channel.ErrInDoubt) {
		t.Errorf("sent to a peer that was killed in the act: %v", err)
	}
}

// What is said when a value goes from a peer to another, with the home between.
func TestSteps(t *testing.T) {
	for _, frame := range []peertest.Frame{peertest.Receive, peertest.Match, peertest.Deliver, peertest.Accept} {
		t.Run(string(frame), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newTrio(t, &peertest.Options{Simulated: true, Latency: time.Millisecond})
				var moments [3]atomic.Int32
				for i := range 3 {
					for m := range moments {
						s := x.StopAt(i, peertest.Step{Frame: frame, When: peertest.Moment(m)})
						go func() {
							if s.Wait(t.Context()) == nil {
								moments[m].Add(1)
								s.Go()
							}
						}()
					}
				}
				sent, received := x.begin(t)
				if err := errors.Join(<-received, <-sent); err != nil {
					t.Error(err)
				}
				for m := range moments {
					if moments[m].Load() == 0 {
						t.Errorf("nobody came to %v", peertest.Moment(m))
					}
				}
			})
		})
	}
}

func TestNoSuchStep(t *testing.T) {
	nw := peertest.New(nil, 1, nil)
	defer nw.Close()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	nw.StopAt(0, peertest.Step{Frame: "channel/nonsense"})
}

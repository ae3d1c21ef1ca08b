package network_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// whoever closes a channel, all who wait in vain return, and what waits to be
// sent is received first.
func TestClose(t *testing.T) {
	for closer := range 3 {
		t.Run(fmt.Sprint("by peer ", closer), func(t *testing.T) {
			ctx := within(t, 30*time.Second)
			peers := startPeers(t, 3)
			var ends []*channel.Channel[int]
			for _, p := range peers {
				ends = append(ends, open[int](t, p, "shop"))
			}
			agree(ctx, t, "shop", peers...)

			// One at each peer waits to send.
			sent := make(chan error, 3)
			for i, c := range ends {
				go func() { sent <- c.Send(ctx, i) }()
			}
			for _, p := range peers {
				for p.Channels()[0].Sends == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			for range 2 { // closing twice is closing once
				if err := ends[closer].Close(ctx); err != nil {
					t.Fatal(err)
				}
			}
			var mu sync.Mutex
			got := map[int]bool{}
			var all sync.WaitGroup
			for _, c := range ends {
				for range 2 {
					all.Go(func() {
						for {
							v, err := c.Receive(ctx)
							if errors.Is(err, channel.ErrClosed) {
								return
							}
							mu.Lock()
							if err != nil || got[v] {
								t.Errorf("received %d, %v", v, err)
							}
							got[v] = true
							mu.Unlock()
							if err != nil {
								return
							}
						}
					})
				}
			}
			all.Wait()
			for range 3 {
				if err := <-sent; err != nil {
					t.Errorf("a send that waited: %v", err)
				}
			}
			if len(got) != 3 {
				t.Errorf("received %v", got)
			}
			for i, c := range ends {
				if err := c.Send(ctx, 9); !errors.Is(err, channel.ErrClosed) {
					t.Errorf("send at %d after the close: %v", i, err)
				}
			}
			late := open[int](t, peers[0], "shop")
			if _, err := late.Receive(ctx); !errors.Is(err, channel.ErrClosed) {
				t.Errorf("receive of one who came late: %v", err)
			}
			for v, err := range late.All(ctx) {
				t.Errorf("%d, %v in a closed channel", v, err)
			}
		})
	}
}

// The receivers wait before anyone closes.
func TestCloseWakesReceivers(t *testing.T) {
	ctx := within(t, 30*time.Second)
	peers := startPeers(t, 3)
	waiting := make(chan error, len(peers))
	for _, p := range peers {
		c := open[int](t, p, "wait")
		go func() {
			_, err := c.Receive(ctx)
			waiting <- err
		}()
	}
	agree(ctx, t, "wait", peers...)
	if err := open[int](t, peers[2], "wait").Close(ctx); err != nil {
		t.Fatal(err)
	}
	for range peers {
		if err := <-waiting; !errors.Is(err, channel.ErrClosed) {
			t.Errorf("receive: %v", err)
		}
	}
}

// A channel is closed while its home is lost.
func TestCloseSurvivesTheHome(t *testing.T) {
	ctx := within(t, 30*time.Second)
	peers := startPeers(t, 3)
	open[int](t, peers[0], "orphan")
	agree(ctx, t, "orphan", peers[0])
	a, b := open[int](t, peers[1], "orphan"), open[int](t, peers[2], "orphan")
	agree(ctx, t, "orphan", peers...)
	waiting := make(chan error, 1)
	go func() {
		_, err := b.Receive(ctx)
		waiting <- err
	}()
	peers[0].Space.Close()
	if err := a.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, channel.ErrClosed) {
		t.Errorf("receive: %v", err)
	}
}

func TestCloseAlone(t *testing.T) {
	ctx := within(t, 10*time.Second)
	p := startPeer(t)
	c := open[int](t, p, "alone")
	sent := make(chan error, 1)
	go func() { sent <- c.Send(ctx, 1) }()
	for p.Channels()[0].Sends == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if v, err := c.Receive(ctx); v != 1 || err != nil {
		t.Errorf("received %d, %v", v, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if _, err := c.Receive(ctx); !errors.Is(err, channel.ErrClosed) {
		t.Errorf("receive: %v", err)
	}
	c.Leave()
	if err := c.Close(ctx); !errors.Is(err, channel.ErrClosed) {
		t.Errorf("close after leaving: %v", err)
	}
	again := open[int](t, p, "alone") // nobody had it open: it is new
	cancelled, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := again.Receive(cancelled); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("receive on a new channel: %v", err)
	}
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/examples/migration/trip"
	"github.com/dstackless/dstackless/tasklet"
)

// enough is how many numbers have come when the program is moved to b.
const enough = 1000

// loopback is where the peers listen.
var loopback = []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}

// host is peer b or c: it accepts tasklets, and no more.
func host(ctx context.Context, bootstrap string) error {
	p, err := dstackless.Start(ctx, &dstackless.Options{
		Listen: loopback, Bootstrap: []string{bootstrap}, Accept: []string{dstackless.AcceptAny},
	})
	if err != nil {
		return err
	}
	defer p.Close()
	fmt.Println("peer", p.ID())
	fmt.Println(">" + p.ID())
	_, err = io.Copy(io.Discard, os.Stdin) // until the end
	return err
}

// home is peer a: it starts the program, talks to it, and has it moved.
func home(ctx context.Context, file string) error {
	wasm, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	p, err := dstackless.Start(ctx, &dstackless.Options{Listen: loopback})
	if err != nil {
		return err
	}
	defer p.Close()
	fmt.Println("peer", p.ID())
	fmt.Println(">" + p.Addrs()[0])
	in := bufio.NewScanner(os.Stdin)
	var hosts [2]string
	for i := range hosts {
		if !in.Scan() {
			return errors.New("the others did not start")
		}
		hosts[i] = in.Text()
	}

	t, err := p.Spawn(ctx, wasm, hosts[1])
	if err != nil {
		return err
	}
	fmt.Printf("tasklet %s runs here\n", t.ID())
	go follow(ctx, t)

	working, stop := context.WithCancel(ctx)
	defer stop()
	var work sync.WaitGroup
	var received, fed int
	var receiveErr, feedErr error
	warm := make(chan struct{})
	work.Go(func() {
		defer stop()
		received, receiveErr = receive(working, p, warm)
	})
	work.Go(func() {
		defer stop()
		fed, feedErr = feed(working, p)
	})

	select {
	case <-warm:
	case <-working.Done():
		work.Wait()
		return errors.Join(receiveErr, feedErr)
	}
	fmt.Println("moving it to b")
	if err := t.Move(ctx, hosts[0]); err != nil {
		return err
	}
	report, err := reported(ctx, p)
	if err != nil {
		return err
	}
	status, err := t.Wait(ctx)
	if status != 0 || err != nil {
		return fmt.Errorf("the program ended with status %d: %w", status, err)
	}
	stop()
	work.Wait()
	if err := errors.Join(receiveErr, feedErr); err != nil {
		return err
	}
	info, err := t.Info(ctx)
	if err != nil {
		return err
	}
	moves := info.Moves
	tell(moves)
	switch {
	case received != report.Sent:
		return fmt.Errorf("the program sent %d numbers, and %d came", report.Sent, received)
	case fed != report.Entries || report.Sum != trip.Expected(fed):
		return fmt.Errorf("fed %d numbers; the program's checksum is %x of %d entries, want %x",
			fed, report.Sum, report.Entries, trip.Expected(fed))
	case report.Host != hosts[1] || len(moves) != 2:
		return fmt.Errorf("the program ended at peer %s after %d moves, not at c after two", report.Host, len(moves))
	case report.Ticks == 0:
		return errors.New("the program's timer did not tick")
	}
	fmt.Printf("%d numbers came from it and %d went to it: each once, in order, none lost\n", received, fed)
	fmt.Printf("its own checksum of its map, list and goroutines is right: %x, %d ticks\n", report.Sum, report.Ticks)
	return nil
}

// follow shows what the program prints, wherever it is.
func follow(ctx context.Context, t *tasklet.Tasklet) {
	out, err := t.Output(ctx, true)
	if err != nil {
		return
	}
	defer out.Close()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Println("    program:", lines.Text())
	}
}

// feed sends 0, 1, 2, ... to the program until ctx ends, and returns how many
// it took.
func feed(ctx context.Context, p *dstackless.Peer) (n int, err error) {
	c, err := channel.Open[int](ctx, p, trip.Feed)
	for ; err == nil; n++ {
		if err = c.Send(ctx, n); err != nil {
			break
		}
	}
	return n, unlessOver(ctx, err)
}

// receive checks that 0, 1, 2, ... come from the program until ctx ends, and
// returns how many came. It closes warm when there have been enough.
func receive(ctx context.Context, p *dstackless.Peer, warm chan<- struct{}) (n int, err error) {
	c, err := channel.Open[int](ctx, p, trip.Numbers)
	for ; err == nil; n++ {
		if n == enough {
			close(warm)
		}
		var got int
		if got, err = c.Receive(ctx); err != nil {
			break
		}
		if got != n {
			return n, fmt.Errorf("received %d, want %d", got, n)
		}
	}
	return n, unlessOver(ctx, err)
}

// unlessOver returns err unless it comes of the end of ctx.
func unlessOver(ctx context.Context, err error) error {
	if errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// reported waits for the program's own report.
func reported(ctx context.Context, p *dstackless.Peer) (trip.Report, error) {
	c, err := channel.Open[trip.Report](ctx, p, trip.Reports)
	if err != nil {
		return trip.Report{}, err
	}
	return c.Receive(ctx)
}

// tell says what moved.
func tell(moves []tasklet.Hop) {
	for _, m := range moves {
		fmt.Printf("moved from %s\n        to %s: %d KiB of memory, %d KiB new there, %d KiB sent; frozen for %.1f ms\n",
			m.From, m.To, m.Bytes>>10, m.New>>10, m.Sent>>10, float64(m.Frozen.Microseconds())/1000)
	}
}

// Command program is the traveller: an ordinary Go program that happens to be
// moved while it runs. It is built for wasip1 and started by the example one
// folder up.
//
// Several calls deep it sends numbers on one channel. Meanwhile one goroutine
// receives numbers from another channel into a map and a linked list, and one
// counts the ticks of a timer. At the end it reports checksums of all that.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/examples/migration/trip"
	"github.com/dstackless/dstackless/tasklet/guest"
)

// state is the heap worth looking at: eat writes the first two, tick the last.
type state struct {
	squares map[int]int
	list    *node
	ticks   int
}

type node struct {
	value int
	next  *node
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: program DESTINATION")
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, destination string) error {
	numbers, err := channel.Open[int](ctx, guest.Space(), trip.Numbers)
	if err != nil {
		return err
	}
	feed, err := channel.Open[int](ctx, guest.Space(), trip.Feed)
	if err != nil {
		return err
	}
	report, err := channel.Open[trip.Report](ctx, guest.Space(), trip.Reports)
	if err != nil {
		return err
	}

	s := &state{squares: map[int]int{}}
	working, stop := context.WithCancel(ctx)
	defer stop()
	var others sync.WaitGroup
	others.Go(func() { s.eat(working, feed) })
	others.Go(func() { s.tick(working) })

	var sent int
	err = deep(8, func() error {
		sent, err = travel(ctx, numbers, destination)
		return err
	})
	if err != nil {
		return err
	}
	stop()
	others.Wait()

	host, err := guest.Host(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("done at peer %s\n", host)
	return report.Send(ctx, s.report(host, sent))
}

// deep calls f several calls deep, so that there is a stack to carry.
func deep(level int, f func() error) error {
	if level == 0 {
		return f()
	}
	if err := deep(level-1, f); err != nil {
		return fmt.Errorf("level %d: %w", level, err)
	}
	return nil
}

// stage is how many numbers are sent at each stage of the journey.
const stage = 1000

// travel sends numbers until the program has been moved from outside, moves it
// to its destination, and sends some more. It returns how many it sent.
func travel(ctx context.Context, numbers *channel.Channel[int], destination string) (int, error) {
	start, err := guest.Host(ctx)
	if err != nil {
		return 0, err
	}
	last := -1 // number to stop at, once it is known
	for i := 0; i != last; i++ {
		if i%stage == 0 && last < 0 {
			here, err := guest.Host(ctx)
			if err != nil {
				return i, err
			}
			if here != start {
				fmt.Printf("at number %d I find myself at %s, and move on to %s\n", i, here, destination)
				if err := guest.Move(ctx, destination); err != nil {
					return i, err
				}
				fmt.Printf("still at number %d, after the move\n", i)
				last = i + stage
			}
		}
		if err := numbers.Send(ctx, i); err != nil {
			return i, err
		}
	}
	return last, nil
}

// eat receives numbers into the map and the list until ctx ends.
func (s *state) eat(ctx context.Context, feed *channel.Channel[int]) {
	for {
		n, err := feed.Receive(ctx)
		if err != nil {
			return
		}
		s.squares[n] = n * n
		s.list = &node{n, s.list}
	}
}

// tick counts the ticks of a timer until ctx ends.
func (s *state) tick(ctx context.Context) {
	timer := time.NewTicker(5 * time.Millisecond)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			s.ticks++
		}
	}
}

// report sums up the heap, following every link of it.
func (s *state) report(host string, sent int) trip.Report {
	r := trip.Report{Host: host, Sent: sent, Ticks: s.ticks, Entries: len(s.squares)}
	for n := s.list; n != nil; n = n.next {
		r.Sum = trip.Mix(r.Sum, n.value, s.squares[n.value])
	}
	return r
}

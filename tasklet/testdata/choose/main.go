// Command choose keeps many sends under way and selects between channels, as
// often as its argument says.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/guest"
)

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err == nil {
		err = choose(context.Background(), n)
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func open(ctx context.Context, name channel.Name) *channel.Channel[int] {
	c, err := channel.Open[int](ctx, guest.Space(), name)
	if err != nil {
		panic(err)
	}
	return c
}

func choose(ctx context.Context, n int) error {
	numbers, left, right := open(ctx, "numbers"), open(ctx, "left"), open(ctx, "right")
	flown := make(chan error, 1)
	go func() {
		var last *channel.Pending
		for i := range n {
			last = numbers.SendAsync(ctx, i)
		}
		flown <- errors.Join(last.Wait(), numbers.Send(ctx, n))
	}()
	received, sent := 0, 0
	for received < n || sent < n {
		var v int
		cases := []channel.Case{left.Receiving(&v), right.Sending(sent)}
		if received == n {
			cases[0] = cases[1]
		} else if sent == n {
			cases[1] = cases[0]
		}
		chosen, err := channel.Select(ctx, cases...)
		switch {
		case err != nil:
			return err
		case chosen == 0 && received < n || sent == n:
			if v != received {
				return fmt.Errorf("received %d, want %d", v, received)
			}
			received++
		default:
			sent++
		}
	}
	if err := <-flown; err != nil {
		return err
	}
	var v int
	chosen, err := channel.Select(ctx, left.Receiving(&v), channel.Default())
	balance, berr := right.Balance(ctx)
	fmt.Println("default:", chosen, err, "balance:", balance, berr, "closed:", left.Closed())
	if err := left.Close(ctx); err != nil {
		return err
	}
	chosen, err = channel.Select(ctx, left.Receiving(&v), right.Receiving(&v))
	fmt.Println("closed:", chosen, errors.Is(err, channel.ErrClosed), left.Closed())
	return nil
}

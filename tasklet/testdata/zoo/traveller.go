package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/guest"
)

// travel sends 0, 1, ... on the channel "out", and wants the same on the
// channel "in" until that is closed, whatever happens to it meanwhile. Then it
// closes "out". If to is a peer it moves there by itself once.
func travel(to string) {
	ctx := context.Background()
	out, err := channel.Open[int](ctx, guest.Space(), "out")
	if err != nil {
		log.Fatal(err)
	}
	in, err := channel.Open[int](ctx, guest.Space(), "in")
	if err != nil {
		log.Fatal(err)
	}
	working, stop := context.WithCancel(ctx)
	received := make(chan error)
	go func() {
		err := receive(ctx, in)
		stop()
		received <- err
	}()
	i := 0
	for ; working.Err() == nil; i++ {
		if i == 500 && to != "" {
			if err := move(ctx, to); err != nil {
				log.Fatal(err)
			}
		}
		if err := out.Send(ctx, i); err != nil {
			log.Fatal(err)
		}
	}
	if err := <-received; err != nil {
		log.Fatal(err)
	}
	if err := out.Close(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("arrived after", i)
}

func move(ctx context.Context, to string) error {
	if err := guest.Move(ctx, to); err != nil {
		return err
	}
	if host, err := guest.Host(ctx); err != nil || !strings.HasPrefix(host, to) {
		return fmt.Errorf("at %s, %w", host, err)
	}
	return nil
}

func receive(ctx context.Context, in *channel.Channel[int]) error {
	for want := 0; ; want++ {
		got, err := in.Receive(ctx)
		if errors.Is(err, channel.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("received %d, want %d", got, want)
		}
	}
}

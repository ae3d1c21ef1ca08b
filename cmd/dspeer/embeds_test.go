package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/control"
	"github.com/dstackless/dstackless/tasklet"
)

// A tally is what the function is in the middle of.
type tally struct {
	Words channel.Name
	N     int
}

// counts counts the words that it is told, until that is "fail".
var counts = tasklet.Func("counts", func(ctx context.Context, self *tasklet.Self, s *tally) error {
	words, err := channel.Open[string](ctx, self, s.Words)
	if err != nil {
		return err
	}
	for {
		word, err := words.Receive(ctx)
		if err != nil {
			return err
		}
		s.N++
		fmt.Fprintln(self, s.N, word)
		if word == "fail" {
			return errors.New("as it was told")
		}
	}
})

// embeds is the main function of a program that has the library inside, with a
// function of its own: embeds DIR LISTEN BOOTSTRAP [CHANNEL...]
//
// It starts a tasklet for each channel.
func embeds() {
	log.SetFlags(0)
	if err := embed(os.Args[1], os.Args[2], strings.Fields(os.Args[3]), os.Args[4:]); err != nil {
		log.Fatal(err)
	}
}

func embed(dir, listen string, bootstrap, channels []string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	peer, err := dstackless.Start(ctx, &dstackless.Options{
		DataDir: dir, Listen: []string{listen}, Bootstrap: bootstrap,
		Accept: []string{dstackless.AcceptAny}, Functions: []tasklet.AnyFunction{counts},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peer.Close()) }()
	for _, name := range channels {
		if _, err := peer.Go(ctx, counts(tally{Words: channel.Name(name)})); err != nil {
			return err
		}
	}
	server, err := control.Serve(dir, peer, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	<-ctx.Done()
	return nil
}

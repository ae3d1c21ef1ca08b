package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/guest"
)

// self hands itself out on the channel "refs", then tells what it is told on the
// channel "words" until that is closed, and exits with status 3.
func self() {
	ctx := context.Background()
	refs, err := channel.Open[guest.Ref](ctx, guest.Space(), "refs")
	if err != nil {
		log.Fatal(err)
	}
	ref, err := guest.Self(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := refs.Send(ctx, ref); err != nil {
		log.Fatal(err)
	}
	words, err := channel.Open[string](ctx, guest.Space(), "words")
	if err != nil {
		log.Fatal(err)
	}
	for word, err := range words.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(word)
	}
	if _, err := words.Receive(ctx); errors.Is(err, channel.ErrClosed) {
		os.Exit(3)
	}
}

// Command carrier receives from the channel "in" and sends what it got on the
// channel "out", until "in" is closed, wherever it is moved meanwhile. It prints
// what it did, in its order: a line for each call, and what the call returned.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/guest"
)

func main() {
	ctx := context.Background()
	in, err := channel.Open[string](ctx, guest.Space(), "in")
	if err != nil {
		log.Fatal(err)
	}
	out, err := channel.Open[string](ctx, guest.Space(), "out")
	if err != nil {
		log.Fatal(err)
	}
	for v, err := range in.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("received", v, "ok")
		switch err := out.Send(ctx, v); {
		case err == nil:
			fmt.Println("sent", v, "ok")
		case errors.Is(err, channel.ErrInDoubt):
			fmt.Println("sent", v, "doubt")
		default:
			fmt.Println("sent", v, "failed")
			log.Fatal(err)
		}
	}
}

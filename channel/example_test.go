package channel_test

import (
	"context"
	"fmt"

	"github.com/dstackless/dstackless/channel"
)

type greeting struct {
	From, Text string
}

func Example() {
	ctx := context.Background()
	// In a program the space is a *dstackless.Peer, or guest.Space().
	var space channel.Space = &memory{encodes: true}

	go func() {
		greetings, err := channel.Open[greeting](ctx, space, "greetings")
		if err != nil {
			panic(err)
		}
		if err := greetings.Send(ctx, greeting{"Québec", "bonjour"}); err != nil {
			panic(err)
		}
	}()

	greetings, err := channel.Open[greeting](ctx, space, "greetings")
	if err != nil {
		panic(err)
	}
	g, err := greetings.Receive(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(g.From, "says", g.Text)
	// Output: Québec says bonjour
}

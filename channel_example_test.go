package dstackless_test

import (
	"context"
	"fmt"
	"log"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel"
)

func numbers(ctx context.Context, peer *dstackless.Peer, name channel.Name) *channel.Channel[int] {
	c, err := channel.Open[int](ctx, peer, name)
	if err != nil {
		log.Fatal(err)
	}
	return c
}

// A worker takes a job or a word to stop, whichever comes first.
func ExamplePeer_select() {
	ctx := context.Background()
	peer, err := dstackless.Start(ctx, &dstackless.Options{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		log.Fatal(err)
	}
	defer peer.Close()

	worked := make(chan int)
	go func() {
		jobs, stop := numbers(ctx, peer, "jobs"), numbers(ctx, peer, "stop")
		for done := 0; ; done++ {
			var v int
			if n, err := channel.Select(ctx, jobs.Receiving(&v), stop.Receiving(&v)); n == 1 || err != nil {
				worked <- done
				return
			}
		}
	}()
	jobs := numbers(ctx, peer, "jobs")
	for i := range 3 {
		if err := jobs.Send(ctx, i); err != nil {
			log.Fatal(err)
		}
	}
	if err := numbers(ctx, peer, "stop").Send(ctx, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Println("jobs done:", <-worked)
	// Output: jobs done: 3
}

// Many values are on their way at once, and arrive in their order.
func ExamplePeer_sendAsync() {
	ctx := context.Background()
	peer, err := dstackless.Start(ctx, &dstackless.Options{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		log.Fatal(err)
	}
	defer peer.Close()

	go func() {
		out := numbers(ctx, peer, "squares")
		for i := range 4 {
			out.SendAsync(ctx, i*i) // Close lets them be received
		}
		if err := out.Close(ctx); err != nil {
			log.Fatal(err)
		}
	}()
	for n, err := range numbers(ctx, peer, "squares").All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(n)
	}
	// Output:
	// 0
	// 1
	// 4
	// 9
}

package dstackless_test

import (
	"context"
	"fmt"
	"log"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel"
)

// Two peers, here in one process, share a channel by its name.
func Example() {
	ctx := context.Background()
	local := []string{"/ip4/127.0.0.1/tcp/0"} // an example stays on this machine
	alice, err := dstackless.Start(ctx, &dstackless.Options{Listen: local})
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	bob, err := dstackless.Start(ctx, &dstackless.Options{Listen: local, Bootstrap: alice.Addrs()[:1]})
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()

	go func() {
		greetings, err := channel.Open[string](ctx, bob, "greetings")
		if err != nil {
			log.Fatal(err)
		}
		if err := greetings.Send(ctx, "hello from bob"); err != nil {
			log.Fatal(err)
		}
	}()
	greetings, err := channel.Open[string](ctx, alice, "greetings")
	if err != nil {
		log.Fatal(err)
	}
	greeting, err := greetings.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeting)
	// Output: hello from bob
}

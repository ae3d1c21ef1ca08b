// Command server receives greetings on a channel that other peers find by its
// name.
//
//	go run ./examples/channel/server
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel"
)

// The example stays on this machine. Without Listen, the peer is there for all.
var loopback = []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	peer, err := dstackless.Start(ctx, &dstackless.Options{Listen: loopback})
	if err != nil {
		return err
	}
	defer peer.Close()
	fmt.Println("in another terminal:")
	fmt.Println("  go run ./examples/channel/client", peer.Addrs()[0])

	greetings, err := channel.Open[string](ctx, peer, "greetings")
	if err != nil {
		return err
	}
	for {
		greeting, err := greetings.Receive(ctx)
		if err != nil {
			return err
		}
		fmt.Println(greeting)
	}
}

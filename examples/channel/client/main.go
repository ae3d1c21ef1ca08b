// Command client sends greetings on a channel, to whichever peer receives from
// it.
//
//	go run ./examples/channel/client ADDR [GREETING...]
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
	if len(os.Args) < 2 {
		log.Fatal("usage: client ADDR [GREETING...]\nADDR is what the server shows.")
	}
	greetings := os.Args[2:]
	if len(greetings) == 0 {
		greetings = []string{"hello", "hello again", "goodbye"}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1], greetings); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr string, greetings []string) error {
	peer, err := dstackless.Start(ctx, &dstackless.Options{Listen: loopback, Bootstrap: []string{addr}})
	if err != nil {
		return err
	}
	defer peer.Close()
	c, err := channel.Open[string](ctx, peer, "greetings")
	if err != nil {
		return err
	}
	for _, greeting := range greetings {
		if err := c.Send(ctx, greeting); err != nil {
			return err
		}
		fmt.Println("received by somebody:", greeting)
	}
	return nil
}

// Command server is a peer to which tasklets may move.
//
//	go run ./examples/tasklet/server
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"

	"github.com/dstackless/dstackless"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	peer, err := dstackless.Start(ctx, &dstackless.Options{
		Accept: []string{dstackless.AcceptAny}, // an example: name the peers that you trust
		Logger: slog.Default(),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer peer.Close()
	fmt.Println("in another terminal:")
	fmt.Println("  go run ./examples/tasklet/client", peer.Addrs()[0])
	<-ctx.Done()
}

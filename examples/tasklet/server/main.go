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
	"github.com/dstackless/dstackless/tasklet"
)

// The example stays on this machine. Without Listen, the peer is there for all.
var loopback = []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}

func main() {
	tasklet.RunCompiler() // this executable also compiles what others bring
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	peer, err := dstackless.Start(ctx, &dstackless.Options{
		Name:   "server", // others can say this in place of its ID
		Listen: loopback,
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

package dht_test

import (
	"context"
	"fmt"
	"log"

	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

func Example() {
	ctx := context.Background()
	local := &p2p.Options{Listen: []string{"/ip4/127.0.0.1/tcp/0"}}
	key := dht.KeyOf("the meeting place")

	alice, err := p2p.Start(local)
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	hers, err := dht.Start(alice, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer hers.Close()
	stop := hers.Announce(key) // she is alone, and that is no error
	defer stop()

	bob, err := p2p.Start(local)
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()
	his, err := dht.Start(bob, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer his.Close()

	// Bob searches again whenever his table has grown.
	joined := make(chan struct{}, 1)
	forget := his.Joined(func() {
		select {
		case joined <- struct{}{}:
		default:
		}
	})
	defer forget()
	if _, err := bob.Connect(ctx, alice.Addrs()[0]); err != nil {
		log.Fatal(err)
	}
	<-joined
	for id := range his.Find(ctx, key) {
		fmt.Println("found Alice:", id == alice.ID())
	}
	// Output: found Alice: true
}

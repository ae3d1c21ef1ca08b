package content_test

import (
	"context"
	"fmt"
	"log"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/content"
)

func Example() {
	ctx := context.Background()
	local := &p2p.Options{Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}}
	alice, err := p2p.Start(local)
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	hers, err := content.Start(alice, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer hers.Close()
	c, err := hers.Add(ctx, []byte("hello world"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c)

	bob, err := p2p.Start(local)
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()
	his, err := content.Start(bob, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer his.Close()
	bob.AddAddrs(alice.ID(), alice.Addrs())
	data, err := his.Get(ctx, c, 1<<20, alice.ID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", data)
	// Output:
	// bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e
	// hello world
}

package p2p_test

import (
	"context"
	"fmt"
	"io"
	"log"

	"github.com/dstackless/dstackless/p2p"
)

func Example() {
	local := &p2p.Options{Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}}
	alice, err := p2p.Start(local)
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	alice.Handle("/example/greet/1", func(s p2p.Stream) {
		defer s.Close()
		name, err := io.ReadAll(io.LimitReader(s, 100))
		if err != nil {
			s.Reset()
			return
		}
		fmt.Fprintf(s, "Hello, %s!", name)
	})

	bob, err := p2p.Start(local)
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()
	ctx := context.Background()
	id, err := bob.Connect(ctx, alice.Addrs()[0])
	if err != nil {
		log.Fatal(err)
	}
	s, err := bob.Open(ctx, id, "/example/greet/1")
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	io.WriteString(s, "Bob")
	s.CloseWrite()
	greeting, err := io.ReadAll(s)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(greeting))
	// Output: Hello, Bob!
}

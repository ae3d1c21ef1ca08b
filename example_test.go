package dstackless_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet"
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

// A Counter is all that the function count is in the middle of.
type Counter struct {
	N  int
	To channel.Ref[string]
}

// Count counts, and says where it is. Each time that it has been moved it is
// called again.
var count = tasklet.Func("count", func(ctx context.Context, self *tasklet.Self, c *Counter) error {
	numbers, err := c.To.Open(ctx, self)
	if err != nil {
		return err
	}
	for ; c.N < 4; c.N++ {
		if err := numbers.Send(ctx, fmt.Sprint(c.N, " from ", self.Host())); err != nil {
			return err
		}
	}
	return numbers.Close(ctx)
})

// A Go function starts at one peer, and moves to another while it runs.
func ExamplePeer_Go() {
	ctx := context.Background()
	options := dstackless.Options{
		Listen:    []string{"/ip4/127.0.0.1/tcp/0"}, // an example stays on this machine
		Accept:    []string{dstackless.AcceptAny},
		Functions: []tasklet.AnyFunction{count},
	}
	alice, err := dstackless.Start(ctx, &options)
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	options.Bootstrap = alice.Addrs()[:1]
	bob, err := dstackless.Start(ctx, &options)
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()
	names := strings.NewReplacer(alice.ID(), "Alice", bob.ID(), "Bob")

	numbers, err := channel.Open[string](ctx, alice, "numbers")
	if err != nil {
		log.Fatal(err)
	}
	t, err := alice.Go(ctx, count(Counter{To: numbers.Ref()}))
	if err != nil {
		log.Fatal(err)
	}
	for number, err := range numbers.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(names.Replace(number))
		if strings.HasPrefix(number, "1 ") {
			if err := t.Move(ctx, bob.ID()); err != nil {
				log.Fatal(err)
			}
		}
	}
	// Output:
	// 0 from Alice
	// 1 from Alice
	// 2 from Bob
	// 3 from Bob
}

// A handle is sent over a channel to a peer that has nothing to do with the
// tasklet, which moves it then, and ends it.
func ExamplePeer_OpenRef() {
	ctx := context.Background()
	options := dstackless.Options{
		Listen:    []string{"/ip4/127.0.0.1/tcp/0"}, // an example stays on this machine
		Accept:    []string{dstackless.AcceptAny},
		Functions: []tasklet.AnyFunction{count},
	}
	alice, err := dstackless.Start(ctx, &options)
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	options.Bootstrap = alice.Addrs()[:1]
	bob, err := dstackless.Start(ctx, &options)
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()

	go func() {
		t, err := alice.Go(ctx, count(Counter{To: channel.Ref[string]{Name: "nobody listens"}}))
		if err != nil {
			log.Fatal(err)
		}
		ref, err := t.Ref()
		if err != nil {
			log.Fatal(err)
		}
		handles, err := channel.Open[tasklet.Ref](ctx, alice, "handles")
		if err != nil {
			log.Fatal(err)
		}
		if err := handles.Send(ctx, ref); err != nil {
			log.Fatal(err)
		}
	}()
	handles, err := channel.Open[tasklet.Ref](ctx, bob, "handles")
	if err != nil {
		log.Fatal(err)
	}
	ref, err := handles.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	t, err := ref.Open(ctx, bob)
	if err != nil {
		log.Fatal(err)
	}
	if err := t.Move(ctx, bob.ID()); err != nil {
		log.Fatal(err)
	}
	if err := t.Kill(ctx); err != nil {
		log.Fatal(err)
	}
	_, err = t.Wait(ctx)
	fmt.Println(err)
	// Output: killed
}

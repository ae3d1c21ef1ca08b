package control_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/control"
	"github.com/dstackless/dstackless/tasklet"
)

// A function that one program has. It waits for its end.
var idle = tasklet.Func("idle", func(ctx context.Context, _ *tasklet.Self, _ *int) error {
	<-ctx.Done()
	return ctx.Err()
})

// A program with the library inside lets itself be steered. What the client does
// here, "dspeer --data DIR ps" does in another process.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	peer, err := dstackless.Start(ctx, &dstackless.Options{
		DataDir:   dir,
		Functions: []tasklet.AnyFunction{idle},
		Listen:    []string{"/ip4/127.0.0.1/tcp/0"}, // an example stays on this machine
	})
	if err != nil {
		log.Fatal(err)
	}
	defer peer.Close()
	server, err := control.Serve(dir, peer, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	if _, err := peer.Go(ctx, idle(0)); err != nil {
		log.Fatal(err)
	}

	client := control.NewClient(dir)
	defer client.Close()
	list, err := client.Tasklets(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range list {
		fmt.Println(t.Function, "is", t.State)
	}
	// Output: idle is running
}

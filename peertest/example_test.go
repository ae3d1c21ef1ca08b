package peertest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/peertest"
)

// Two peers go on without the third, which was the first. In a test, the test
// stands in the place of nil, and closes the network.
func Example() {
	ctx := context.Background()
	peers := peertest.New(nil, 3, nil)
	defer peers.Close()

	var jobs []*channel.Channel[string]
	for _, p := range peers.Peers() {
		c, err := channel.Open[string](ctx, p, "jobs")
		if err != nil {
			log.Fatal(err)
		}
		jobs = append(jobs, c)
	}
	peers.Kill(0)

	go jobs[1].Send(ctx, "a job")
	job, err := jobs[2].Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("received:", job)
	// Output: received: a job
}

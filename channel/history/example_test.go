package history_test

import (
	"context"
	"fmt"

	"github.com/dstackless/dstackless/channel/history"
)

// A channel that loses what it was given, and says that all is well.
func Example() {
	ctx := context.Background()
	lossy := make(chan string, 1)
	send := func(_ context.Context, v string) error {
		select {
		case lossy <- v:
		default:
		}
		return nil
	}
	var h history.History[string]
	h.Send(ctx, "alice", "one", send)
	h.Send(ctx, "alice", "two", send)
	h.Receive(ctx, "bob", func(context.Context) (string, error) { return <-lossy, nil })
	for _, v := range h.Violations() {
		fmt.Println("it breaks rule", v.Rule)
	}
	// Output:
	// it breaks rule 0
	// it breaks rule 1
}

// Command shout answers what it receives on the channel "question" on the
// channel "answer", louder, until it is told to stop, and then closes that.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/guest"
)

func main() {
	if err := shout(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func shout(ctx context.Context) error {
	question, err := channel.Open[string](ctx, guest.Space(), "question")
	if err != nil {
		return err
	}
	answer, err := channel.Open[string](ctx, guest.Space(), "answer")
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		q, err := question.Receive(ctx)
		if err != nil {
			return err
		}
		if q == "stop" {
			return answer.Close(ctx)
		}
		fmt.Println("asked", n)
		if err := answer.Send(ctx, fmt.Sprintf("%d %s", n, strings.ToUpper(q))); err != nil {
			return err
		}
	}
}

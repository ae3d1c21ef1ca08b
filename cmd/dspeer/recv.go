package main

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/control"
)

func (c *cli) recvCommand() *cobra.Command {
	var count int
	cmd := &cobra.Command{
		Use:   "recv CHANNEL",
		Short: "Receive messages from a channel, and print them one a line",
		Long: `Recv receives messages from a channel, whoever sends them, and prints them, one a
line, until it has as many as -n says, the channel is closed, or it is
interrupted. Who sent a message goes on when it was received.

Nothing is received if the output is closed. A message that was received and could
not be printed, because the command was killed or the disk was full, is kept by the peer for its next recv on the
channel, as long as the peer runs.

On a terminal, control characters in a message are shown as escapes, such as
\u001b; a file or another program gets the message as it is.

With --json each line is {"message": "..."}, or {"bytes": "..."} in base64 for a
message that is not text in UTF-8.`,
		Example: `  dspeer recv greetings
  dspeer recv -n 1 greetings`,
		Args: cobra.ExactArgs(1),
	}
	cmd.RunE = c.ask(func(ctx context.Context, peer *control.Client, args []string) error {
		ch, err := peer.Channel(ctx, args[0])
		if err != nil {
			return err
		}
		defer ch.Close()
		return c.receive(ctx, ch, count)
	})
	cmd.Flags().IntVarP(&count, "count", "n", 0, "how many messages to receive (default all)")
	return c.jsonFlag(cmd)
}

// receive prints count messages, or if count is 0 all until the channel is closed
// or ctx ends.
func (c *cli) receive(ctx context.Context, ch *control.Channel, count int) error {
	for n := 0; count == 0 || n < count; n++ {
		msg, err := ch.Receive(ctx)
		if count == 0 && (errors.Is(err, context.Canceled) || errors.Is(err, channel.ErrClosed)) {
			return nil // as agreed
		}
		if err != nil {
			return err
		}
		if err := c.printMessage(msg); err != nil {
			return fmt.Errorf("%w; the peer keeps the message for the next recv", err)
		}
		if err := ch.Taken(); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) printMessage(msg []byte) error {
	if !c.json {
		if c.out.terminal() {
			msg = []byte(visible(string(msg), "\n\t"))
		}
		_, err := c.out.Write(append(msg, '\n'))
		return err
	}
	var m struct {
		Message *string `json:"message,omitempty"`
		Bytes   []byte  `json:"bytes,omitempty"`
	}
	if text := string(msg); utf8.ValidString(text) {
		m.Message = &text
	} else {
		m.Bytes = msg
	}
	return c.printJSON(m)
}

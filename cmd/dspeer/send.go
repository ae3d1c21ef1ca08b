package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/control"
)

func (c *cli) sendCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "send CHANNEL [MESSAGE]",
		Short: "Send a message on a channel, or one per line of standard input",
		Long: `Send sends a message on a channel and ends when a receiver has it, on this peer
or any other. Without a message it sends the lines of standard input, one after
another, each without its line ending. A line has 16 MiB at most.

When interrupted, it withdraws the message that waits: that was not received, and
those before it were. If the peer does not answer within a second then, send says
that the message may have been received. Messages are Go strings: a program receives them from a
channel that it opened with channel.Open[string].`,
		Example: `  dspeer send greetings hello
  dspeer send greetings -- -v
  tail -f log | dspeer send log`,
		Args: cobra.RangeArgs(1, 2),
		RunE: c.talk(func(ctx context.Context, peer *control.Client, args []string) error {
			ch, err := peer.Channel(ctx, args[0])
			if err != nil {
				return err
			}
			defer ch.Close()
			if len(args) == 2 {
				return ch.Send(ctx, []byte(args[1]))
			}
			return sendLines(ctx, ch, c.in)
		}),
	}
}

// maxLine is how long a line may be, without its end: 16 MiB. As a value it has the
// name of its type and its length besides.
const maxLine = channel.MaxValue - 1<<10

// sendLines sends what in holds, a line at a time.
func sendLines(ctx context.Context, ch *control.Channel, in io.Reader) error {
	next := lines(ctx, in)
	for n := 1; ; n++ {
		var l line
		select {
		case l = <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
		if l.err == io.EOF {
			return nil
		}
		if l.err == nil {
			l.err = ch.Send(ctx, l.text)
		}
		if l.err != nil {
			return fmt.Errorf("line %d: %w", n, l.err)
		}
	}
}

type line struct {
	text []byte
	err  error
}

// lines reads in, in a goroutine of its own because a read cannot be
// interrupted. An error comes last, and that of the end is io.EOF.
func lines(ctx context.Context, in io.Reader) <-chan line {
	next := make(chan line)
	give := func(l line) bool {
		select {
		case next <- l:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		s := bufio.NewScanner(in)
		s.Buffer(nil, maxLine+len("x\r\n")) // enough to see that a line is too long
		for s.Scan() && len(s.Bytes()) <= maxLine {
			if !give(line{text: bytes.Clone(s.Bytes())}) {
				return
			}
		}
		err := s.Err()
		switch {
		case errors.Is(err, bufio.ErrTooLong), len(s.Bytes()) > maxLine:
			err = fmt.Errorf("%w: the line has over %d bytes", channel.ErrTooLarge, maxLine)
		case err == nil:
			err = io.EOF
		}
		give(line{err: err})
	}()
	return next
}

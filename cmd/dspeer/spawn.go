package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dstackless/dstackless/control"
	"github.com/dstackless/dstackless/tasklet/program"
)

func (c *cli) spawnCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "spawn [--follow] FILE.wasm [-- ARG...]",
		Short: "Start a program as a tasklet, and print its ID",
		Long: `Spawn starts a program on the peer, as a tasklet, and prints the tasklet's ID.
The program is an ordinary Go program, built with GOOS=wasip1 GOARCH=wasm.

With --follow it goes on to print what the tasklet writes, wherever that moves,
and exits with its exit status. An interrupt ends the command and not the
tasklet.`,
		Example: `  GOOS=wasip1 GOARCH=wasm go build -o hello.wasm ./hello
  dspeer spawn hello.wasm
  dspeer spawn --follow hello.wasm -- -v world`,
		Args: cobra.MinimumNArgs(1),
		RunE: c.ask(func(ctx context.Context, peer *control.Client, args []string) error {
			wasm, err := readProgram(args[0])
			if err != nil {
				return err
			}
			info, err := peer.Spawn(ctx, wasm, args[1:]...)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if err := c.printLines(info, string(info.ID)); err != nil {
				return fmt.Errorf("tasklet %s was started, but its ID could not be printed: %w", info.ID, err)
			}
			if !follow {
				return nil
			}
			if err := peer.Output(ctx, string(info.ID), true, c.out); err != nil {
				return err
			}
			return c.await(ctx, peer, string(info.ID))
		}),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "print the tasklet's output and exit with its status")
	c.jsonFlag(cmd)
	cmd.MarkFlagsMutuallyExclusive("follow", "json")
	return cmd
}

// readProgram reads a WebAssembly file. What is none is not read whole.
func readProgram(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	wasm := []byte("\x00asm")
	head := make([]byte, len(wasm))
	if _, err := io.ReadFull(f, head); err != nil || !bytes.Equal(head, wasm) {
		return nil, fmt.Errorf("%s is not a WebAssembly program; build one with: GOOS=wasip1 GOARCH=wasm go build -o FILE.wasm", path)
	}
	rest, err := io.ReadAll(io.LimitReader(f, program.MaxModule+1))
	if err != nil {
		return nil, err
	}
	if len(rest) > program.MaxModule-len(head) {
		return nil, fmt.Errorf("%s is over %d bytes, the largest that a program may have", path, program.MaxModule)
	}
	return append(head, rest...), nil
}

// await waits for the end of a tasklet and ends like it.
func (c *cli) await(ctx context.Context, peer *control.Client, id string) error {
	end, err := peer.Wait(ctx, id)
	if err != nil {
		return err
	}
	if c.json {
		if err := c.printJSON(end); err != nil {
			return err
		}
	}
	if end.Error != "" && !c.json {
		fmt.Fprintf(c.errs, "dspeer: %s: tasklet %s: %s%s\n", c.command, end.Tasklet, end.Error, limitHint(end.Limit))
		if end.Stack != "" && c.command == "wait" { // with spawn, it was in the output
			fmt.Fprintln(c.errs, strings.TrimSuffix(end.Stack, "\n"))
		}
	}
	switch {
	case end.Killed:
		fmt.Fprintf(c.errs, "dspeer: %s: tasklet %s was killed\n", c.command, end.Tasklet)
		return statusError(exitKilled)
	case end.Status < 0 && end.Error != "":
		return statusError(exitFailure)
	case end.Status < 0 || end.Status > 255:
		// The operating system would keep the lowest 8 bits, which may be 0.
		fmt.Fprintf(c.errs, "dspeer: %s: exit status %d of tasklet %s becomes 255\n", c.command, end.Status, end.Tasklet)
		return statusError(255)
	case end.Status != 0:
		return statusError(end.Status)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dstackless/dstackless/control"
)

func (c *cli) suspendCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "suspend TASKLET",
		Short: "Put a tasklet on its host's disk until it is resumed",
		Long: `Suspend stops a tasklet, named by its ID or the beginning of it, wherever it
runs, and puts it on that peer's disk, where it needs no memory and stays when the
peer is ended. "dspeer resume" makes it go on, exactly where it was, its channels
included. The time until then passes for its timers and clocks.`,
		Example: `  dspeer suspend 3f2a
  dspeer resume 3f2a`,
		Args: cobra.ExactArgs(1),
		RunE: c.talk(func(ctx context.Context, peer *control.Client, args []string) error {
			_, err := peer.Suspend(ctx, args[0])
			return err
		}),
	}
}

func (c *cli) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "resume TASKLET",
		Short:   "Make a suspended tasklet go on",
		Long:    "Resume makes a tasklet go on that was suspended, named by its ID or the beginning\nof it, at the peer where it is.",
		Example: `  dspeer resume 3f2a`,
		Args:    cobra.ExactArgs(1),
		RunE: c.talk(func(ctx context.Context, peer *control.Client, args []string) error {
			_, err := peer.Resume(ctx, args[0])
			return err
		}),
	}
}

func (c *cli) drainCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "drain [PEER...]",
		Short: "Move all tasklets to other peers, and take no new ones",
		Long: `Drain moves the tasklets that run on the peer to other peers, in turn, and prints
the IDs of those that have moved. From then on the peer takes no tasklets, until
it is run again. Peers are given as "dspeer lookup" takes them; without arguments
those that are connected are asked.

A tasklet that no peer takes goes on here, and drain fails and says why. Suspended
tasklets stay on this peer's disk.`,
		Example: `  dspeer drain
  dspeer drain alice bob`,
		RunE: c.ask(func(ctx context.Context, peer *control.Client, args []string) error {
			d, err := peer.Drain(ctx, args...)
			if err != nil {
				return err
			}
			lines := make([]string, len(d.Moved))
			for i, id := range d.Moved {
				lines[i] = string(id)
			}
			if err := c.printLines(d, lines...); err != nil {
				return fmt.Errorf("%d tasklets have moved, but their IDs could not be printed: %w", len(lines), err)
			}
			if d.Error != "" {
				return errors.New(d.Error)
			}
			return nil
		}),
	})
}

func (c *cli) decideCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "decide TASKLET run|drop",
		Short: "Make an end of a tasklet's waiting for the peer that it came from",
		Long: `Decide is for a tasklet that "dspeer ps" shows as prepared: it has come here, but
the peer that it comes from was lost before it said whether it gave the tasklet
up. The two must not both run it, so it waits until that peer answers.

If that peer is gone for good, "run" makes the tasklet run here. If it is known to
have the tasklet, "drop" forgets what came. Decide wrongly, and there are two
tasklets, or none.`,
		Example: `  dspeer decide 3f2a run`,
		Args:    cobra.ExactArgs(2),
		RunE: c.talk(func(ctx context.Context, peer *control.Client, args []string) error {
			if args[1] != "run" && args[1] != "drop" {
				return usageError{fmt.Errorf("decide wants run or drop, not %q", args[1])}
			}
			_, err := peer.Decide(ctx, args[0], args[1] == "run")
			return err
		}),
	}
}

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dstackless/dstackless/control"
	"github.com/dstackless/dstackless/tasklet"
)

func (c *cli) psCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "ps",
		Short: "List the tasklets that the peer started or hosts",
		Long: `Ps lists the tasklets that the peer started, wherever they are, and those that it
hosts. "Not saved" says why a tasklet that runs could not be recorded on disk: after
a restart of its host it goes on from an earlier record. With --json it tells all that the peer knows of them, their moves and
what these cost included.`,
		Example: "  dspeer ps\n  dspeer ps --json",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, peer *control.Client, _ []string) error {
			list, err := peer.Tasklets(ctx)
			if err != nil {
				return err
			}
			rows := [][]string{{"TASKLET", "STATE", "HOST", "AGE", "MOVES", "ARGS"}}
			for _, t := range list {
				rows = append(rows, []string{
					string(t.ID), stateText(t), t.Host, age(t.Started), fmt.Sprint(len(t.Moves)), workText(t),
				})
			}
			return c.printTable(list, rows)
		}),
	})
}

func (c *cli) infoCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "info TASKLET",
		Short: "Tell of one tasklet",
		Long: `Info tells what the peer knows of a tasklet, named by its ID or the beginning of
it: where it is and was, and what its latest moves cost. Of a tasklet that the
peer neither started nor hosts, named by its whole ID, it tells where it is, and
all else if "dspeer ref" is given.`,
		Example: "  dspeer info 3f2a\n  dspeer info 3f2a --json",
		Args:    cobra.ExactArgs(1),
		RunE: c.ask(func(ctx context.Context, peer *control.Client, args []string) error {
			info, err := peer.Info(ctx, args[0])
			if err != nil {
				return err
			}
			return c.printLines(info, infoLines(info)...)
		}),
	})
}

func (c *cli) refCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "ref TASKLET",
		Short: "Print a handle on a tasklet, for use at any peer",
		Long: `Ref prints a handle on a tasklet, named by its ID or the beginning of it. At any
peer, all commands that take a tasklet take it, wherever the tasklet is. Who has it
can do everything with the tasklet as long as that lives: it is a secret.`,
		Example: `  dspeer ref 3f2a
  dspeer move $(ssh other dspeer ref 3f2a) alice`,
		Args: cobra.ExactArgs(1),
		RunE: c.ask(func(ctx context.Context, peer *control.Client, args []string) error {
			ref, err := peer.Ref(ctx, args[0])
			if err != nil {
				return err
			}
			text, err := ref.MarshalText()
			if err != nil {
				return err
			}
			return c.printLines(ref, string(text))
		}),
	})
}

// infoLines returns what is known of a tasklet, for people.
func infoLines(t tasklet.Info) []string {
	lines := []string{"tasklet  " + string(t.ID), "state    " + stateText(t), "host     " + t.Host}
	if t.Origin == "" {
		return lines
	}
	if t.Program != "" {
		lines = append(lines, "program  "+t.Program)
	}
	lines = append(lines, "origin   "+t.Origin, "started  "+t.Started.Local().Format(time.DateTime))
	if work := workText(t); work != "" {
		lines = append(lines, "runs     "+work)
	}
	for _, hop := range t.Moves {
		lines = append(lines, "moved    to "+hop.To+": "+costText(hop))
	}
	return lines
}

// stateText returns a tasklet's state, and what came of it.
func stateText(t tasklet.Info) string {
	switch {
	case t.State != tasklet.Exited && t.Error != "":
		return fmt.Sprintf("%s: %s%s", t.State, plain(t.Error), limitHint(t.Limit))
	case t.State != tasklet.Exited && t.NotSaved != "":
		return fmt.Sprintf("%s, not saved: %s", t.State, plain(t.NotSaved))
	case t.State != tasklet.Exited:
		return string(t.State)
	case t.Error != "":
		return "exited: " + plain(t.Error) + limitHint(t.Limit)
	}
	return fmt.Sprintf("exited: status %d", t.Status)
}

// workText returns what tells a tasklet from others: its program's arguments, or
// the name of its function.
func workText(t tasklet.Info) string {
	if t.Function != "" {
		return "function " + plain(t.Function)
	}
	return argsText(t.Args)
}

// argsText returns a program's arguments, without its name.
func argsText(args []string) string {
	var texts []string
	for _, a := range args[min(1, len(args)):] {
		texts = append(texts, plain(a))
	}
	return strings.Join(texts, " ")
}

func (c *cli) moveCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "move TASKLET PEER",
		Short: "Move a running tasklet to another peer",
		Long: `Move moves a tasklet, named by its ID or the beginning of it, to a peer, given as
"dspeer lookup" takes it, and says what that cost. The tasklet goes on there where
it was, its channels included. If it cannot move it goes on where it is.

The peer must accept tasklets from here: see --accept of "dspeer run".`,
		Example: `  dspeer move 3f2a alice
  dspeer move 3f2a 12D3KooW...`,
		Args: cobra.ExactArgs(2),
		RunE: c.ask(func(ctx context.Context, peer *control.Client, args []string) error {
			info, err := peer.Move(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			if err := c.printLines(info, moveText(info, args[1])); err != nil {
				return fmt.Errorf("tasklet %s has moved, but that could not be printed: %w", info.ID, err)
			}
			return nil
		}),
	})
}

// moveText tells of a move to a peer, as it was typed.
func moveText(info tasklet.Info, to string) string {
	if to != info.Host {
		to += ", " + info.Host
	}
	if n := len(info.Moves); n > 0 && info.Moves[n-1].To == info.Host {
		hop := info.Moves[n-1]
		return fmt.Sprintf("moved to %s: %s", to, costText(hop))
	}
	return "moved to " + to
}

// costText tells what a move cost.
func costText(hop tasklet.Hop) string {
	return fmt.Sprintf("%s of memory, %s new there, %s sent, stood still for %s",
		bytesText(hop.Bytes), bytesText(hop.New), bytesText(hop.Sent), hop.Frozen.Round(100*time.Microsecond))
}

func (c *cli) killCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "kill TASKLET",
		Short:   "End a tasklet, wherever it runs",
		Long:    "Kill ends a tasklet, named by its ID or the beginning of it, wherever it runs.",
		Example: `  dspeer kill 3f2a`,
		Args:    cobra.ExactArgs(1),
		RunE: c.talk(func(ctx context.Context, peer *control.Client, args []string) error {
			_, err := peer.Kill(ctx, args[0])
			return err
		}),
	}
}

func (c *cli) whereCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "where TASKLET",
		Short: "Print the ID of the peer that hosts a tasklet",
		Long: `Where prints the ID of the peer that hosts a tasklet. One that this peer started
or hosts is named by its ID or the beginning of it; any other by its whole ID, by
which it is found wherever it is.`,
		Example: `  dspeer where 3f2a
  dspeer where 3f2a0c5d9b1e4f7788a1b2c3d4e5f607`,
		Args: cobra.ExactArgs(1),
		RunE: c.ask(func(ctx context.Context, peer *control.Client, args []string) error {
			p, err := peer.Where(ctx, args[0])
			if err != nil {
				return err
			}
			return c.printLines(p, p.Peer)
		}),
	})
}

func (c *cli) waitCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "wait TASKLET",
		Short: "Wait for the end of a tasklet, and exit with its status",
		Long: `Wait waits until a tasklet, named by its ID or the beginning of it, has ended,
wherever it runs, and exits with its exit status, or with 137 if it was killed.`,
		Example: `  id=$(dspeer spawn hello.wasm)
  dspeer wait $id; echo $?`,
		Args: cobra.ExactArgs(1),
		RunE: c.talk(func(ctx context.Context, peer *control.Client, args []string) error {
			return c.await(ctx, peer, args[0])
		}),
	})
}

func (c *cli) logsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [--follow] TASKLET",
		Short: "Print what a tasklet wrote",
		Long: `Logs prints what a tasklet, named by its ID or the beginning of it, wrote to its
standard output and standard error, wherever it was. The peer that started the
tasklet knows; with --follow, logs goes on until the tasklet has ended.`,
		Example: "  dspeer logs 3f2a\n  dspeer logs -f 3f2a",
		Args:    cobra.ExactArgs(1),
		RunE: c.ask(func(ctx context.Context, peer *control.Client, args []string) error {
			return peer.Output(ctx, args[0], follow, c.out)
		}),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "print what it goes on to write")
	return cmd
}

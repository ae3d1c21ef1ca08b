package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dstackless/dstackless/control"
)

func (c *cli) lookupCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "lookup PEER",
		Short: "Print the ID of the peer that a name stands for",
		Long: `Lookup prints the ID of a peer, given by its name (see --name of "dspeer run"), by
the beginning of its ID if it is connected, or by its ID. Wherever a command takes
a peer it takes these, too.

Anybody may take any name. If two peers claim one, or if one that may claim it does
not answer, lookup fails and names them all, and so does each command: none is
guessed. Then use the ID, or run the peer that looks up with the name pinned to the
right one, as in "dspeer run --accept alice=12D3KooW...".`,
		Example: `  dspeer lookup alice
  dspeer lookup 12D3KooWQYhT`,
		Args: cobra.ExactArgs(1),
		RunE: c.ask(func(ctx context.Context, peer *control.Client, args []string) error {
			id, err := peer.Lookup(ctx, args[0])
			if err != nil {
				return err
			}
			return c.printLines(control.Found{ID: id}, id)
		}),
	})
}

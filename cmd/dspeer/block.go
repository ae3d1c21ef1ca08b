package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dstackless/dstackless/control"
)

func (c *cli) blockCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "block PEER",
		Short: "End all connections with a peer, and have none made again",
		Long: `Block ends all connections with a peer, given as "dspeer lookup" takes it, and has
none made again, by either side, direct or relayed, until "dspeer unblock". Nor do
tasklets that it started come here any more. It stands for later runs, too: the
list is the file "blocked" in the data folder.

What the peer says to others and they pass on is not kept out. A new ID costs a
peer nothing: to keep strangers out for certain, use a network key, see "dspeer key".`,
		Example: `  dspeer block mallory
  dspeer block 12D3KooW...`,
		Args: cobra.ExactArgs(1),
		RunE: c.talk(func(ctx context.Context, peer *control.Client, args []string) error {
			return peer.Block(ctx, args[0])
		}),
	}
}

func (c *cli) unblockCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "unblock ID",
		Short:   "End what \"dspeer block\" did to a peer",
		Long:    "Unblock ends what \"dspeer block\" did to the peer with the ID. It makes no\nconnection by itself.",
		Example: `  dspeer unblock 12D3KooW...`,
		Args:    cobra.ExactArgs(1),
		RunE: c.talk(func(ctx context.Context, peer *control.Client, args []string) error {
			return peer.Unblock(ctx, args[0])
		}),
	}
}

func (c *cli) blockedCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "blocked",
		Short:   "List the IDs of the blocked peers, one a line",
		Example: `  dspeer blocked`,
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, peer *control.Client, _ []string) error {
			ids, err := peer.Blocked(ctx)
			if err != nil {
				return err
			}
			return c.printLines(ids, ids...)
		}),
	})
}

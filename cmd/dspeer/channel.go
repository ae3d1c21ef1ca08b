package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dstackless/dstackless/control"
)

func (c *cli) channelsCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "channels",
		Short: "List the channels that are open on the peer",
		Long: `Channels lists the channels that tasklets and commands have open on the peer: the
peer that is their home and pairs senders with receivers, and how many sends and
receives of this peer wait.`,
		Example: "  dspeer channels\n  dspeer channels --json",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, peer *control.Client, _ []string) error {
			list, err := peer.Channels(ctx)
			if err != nil {
				return err
			}
			rows := [][]string{{"CHANNEL", "HOME", "SENDS", "RECEIVES"}}
			for _, ch := range list {
				home := ch.Home
				if home == "" {
					home = "(sought)"
				}
				rows = append(rows, []string{plain(string(ch.Name)), home, fmt.Sprint(ch.Sends), fmt.Sprint(ch.Receives)})
			}
			return c.printTable(list, rows)
		}),
	})
}

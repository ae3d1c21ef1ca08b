package main

import (
	"cmp"
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/dstackless/dstackless/control"
)

func (c *cli) idCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "id",
		Short: "Print the peer's ID",
		Example: `  dspeer id

  # let this peer move tasklets to another
  ssh other dspeer run --accept $(dspeer id)`,
		Args: cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, peer *control.Client, _ []string) error {
			self, err := peer.Self(ctx)
			if err != nil {
				return err
			}
			return c.printLines(self, self.ID)
		}),
	})
}

func (c *cli) addrsCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "addrs",
		Short: "Print the peer's addresses, one a line",
		Long: `Addrs prints the peer's full addresses, one a line: what others give to
"dspeer connect" and "dspeer run --bootstrap".`,
		Example: `  dspeer addrs`,
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, peer *control.Client, _ []string) error {
			self, err := peer.Self(ctx)
			if err != nil {
				return err
			}
			return c.printLines(self.Addrs, self.Addrs...)
		}),
	})
}

func (c *cli) peersCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "peers",
		Short: "List the connected peers",
		Long: `Peers lists the connected peers: whether the connection is direct, punched through
NATs or relayed, and by whom; its transport, which of a relayed connection is the
one to the relay; how long a message takes there and back, measured now; and how
far its clock is ahead of this machine's or behind it, if by a second or more. The
name is what the peer calls itself, and no proof of who it is.`,
		Example: "  dspeer peers\n  dspeer peers --json",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, peer *control.Client, _ []string) error {
			list, err := peer.Peers(ctx)
			if err != nil {
				return err
			}
			rows := [][]string{{"PEER", "NAME", "PATH", "TRANSPORT", "ROUND TRIP", "CLOCK", "DIRECTION", "SINCE", "ADDRESS"}}
			for _, p := range list {
				direction := "outbound"
				if p.Inbound {
					direction = "inbound"
				}
				rows = append(rows, []string{p.ID, cmp.Or(p.Name, "-"), pathText(p), p.Transport, roundTripText(p), clockText(p), direction, age(p.Since), p.Addr})
			}
			return c.printTable(list, rows)
		}),
	})
}

// pathText says how a peer is connected.
func pathText(p control.Neighbor) string {
	switch {
	case p.Relayed:
		return "relayed by " + p.Relay
	case p.Punched:
		return "direct, hole punched"
	}
	return "direct"
}

func roundTripText(p control.Neighbor) string {
	if p.RoundTrip == 0 {
		return "no answer"
	}
	return p.RoundTrip.Round(10 * time.Microsecond).String()
}

// clockText says how the peer's clock differs from this machine's.
func clockText(p control.Neighbor) string {
	switch d := p.ClockAhead.Round(time.Second); {
	case d > 0:
		return d.String() + " ahead"
	case d < 0:
		return d.Abs().String() + " behind"
	}
	return "-"
}

func (c *cli) connectCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "connect ADDR",
		Short:   "Connect to another peer, and print its ID",
		Long:    "Connect connects to the peer at a full address, one of those that \"dspeer addrs\"\nprints there, and prints its ID.",
		Example: `  dspeer connect /ip4/192.0.2.1/udp/4001/quic-v1/p2p/12D3KooW...`,
		Args:    cobra.ExactArgs(1),
		RunE: c.ask(func(ctx context.Context, peer *control.Client, args []string) error {
			id, err := peer.Connect(ctx, args[0])
			if err != nil {
				return err
			}
			return c.printLines(struct {
				ID string `json:"id"`
			}{id}, id)
		}),
	})
}

// age returns how long ago t was, for people.
func age(t time.Time) string { return time.Since(t).Truncate(time.Second).String() }

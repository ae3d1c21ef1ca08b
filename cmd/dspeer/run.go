package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/control"
)

func (c *cli) runCommand() *cobra.Command {
	var o dstackless.Options
	var relay relayFlags
	var keyFile string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a peer until interrupted",
		Long: `Run runs a peer until it is interrupted (SIGINT), ended (SIGTERM) or loses its
terminal (SIGHUP). It then suspends its tasklets. A second signal at least ` + secondSignal.String() + ` after
the first ends it at once; what comes sooner counts as one signal with the first.

It prints the peer's ID and its addresses on standard output, one a line, as soon
as it can be talked to, and logs on standard error. It goes on if nobody reads
these any more.

The data folder keeps the peer's key, so that it has the same ID each time, and
its tasklets: when the peer is interrupted or ended it suspends them, and when it
is run again they go on exactly where they were ("dspeer drain" moves them to
other peers instead). After a crash, such as a power failure or SIGKILL, each goes
on from its last record: its start, its last move, suspension or checkpoint. What
it did since then it does again; see --checkpoint. Only one peer can use a folder.

Peers on one LAN find each other by themselves. A peer behind a NAT asks its
router for a port, and is reached through relays and punched holes otherwise: the
log says how. Relays are the peers that run with --relay. They cut what they carry
after --relay-data bytes or --relay-duration; all that peers do goes on all the
same, only slower. A peer that listens on loopback only uses none of this.

With --network-key, the peer connects to those alone that have the same key, which
"dspeer key" makes.

With --name, others can type the name where a command takes a peer. It is shown to
whoever asks and proves nothing: see "dspeer lookup".

The peer runs only tasklets that were started on it, and those that the peers
named with --accept move to it. "--accept alice=ID" also pins the name at this
peer: it stands for that key from then on, whoever else claims it. A tasklet runs in a sandbox: it has no files, no
network and no environment, and no more memory than --memory. One that exceeds a
limit is ended, and "dspeer wait" and "dspeer ps" name the limit. Numbers, sizes and
times are more than 0: for a default, such as "no limit" or "never", leave the flag out.`,
		Example: `  # the first peer of a network, on ports of its own choice
  dspeer run

  # on a fixed port, for others to find
  dspeer run --listen /ip4/0.0.0.0/udp/4001/quic-v1

  # a peer with a public address, that helps others to be reached
  dspeer run --relay --listen /ip4/0.0.0.0/udp/4001/quic-v1 --listen /ip4/0.0.0.0/tcp/4001

  # a network of one's own
  (umask 077; dspeer key > our.key)
  dspeer run --network-key our.key

  # join a network, and run what one of its peers moves here
  dspeer run --bootstrap /ip4/192.0.2.1/udp/4001/quic-v1/p2p/12D3KooW... --accept 12D3KooW...

  # under a name, running what a friend's peer moves here
  dspeer run --name bob --accept alice=12D3KooW...

  # a second peer on this machine
  dspeer run --data /tmp/second`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := relay.into(cmd, &o); err != nil {
				return usageError{err}
			}
			if keyFile != "" {
				var err error
				if o.NetworkKey, err = readNetworkKey(keyFile); err != nil {
					return err
				}
			}
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			log := newLogWriter(c.errs)
			defer log.Close()
			o.Logger = slog.New(slog.NewTextHandler(log, nil))
			return untilStopped(cmd.Context(), log, o.Logger, func(ctx context.Context) error { return c.run(ctx, o) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Name, "name", "",
		"what the peer calls itself, so that people can type `NAME` in place of its ID: a to z, 0 to 9 and \"-\",\n"+
			"32 at most, the first a letter (default none)")
	f.StringArrayVar(&o.Bootstrap, "bootstrap", nil,
		"`ADDR` of a peer to join, with /p2p/; can be repeated, and one must answer (default none: the first of its network)")
	f.StringArrayVar(&o.Listen, "listen", nil,
		"`ADDR` to listen on; can be repeated (default QUIC and TCP on free ports of all interfaces)")
	f.StringArrayVar(&o.Accept, "accept", nil,
		"whose tasklets may move here: a peer's `ID`, a name pinned to one as in alice=12D3KooW..., \"network\" for all\n"+
			"members of a network with a key, or \"any\"; can be repeated (default nobody; one's own may always come back)")
	f.StringVar(&keyFile, "network-key", "",
		"`FILE` with the key of a private network, as \"dspeer key\" prints it (default none: an open network)")
	f.BoolVar(&o.NoLAN, "no-lan", false, "do not look for peers on the LAN (mDNS)")
	f.BoolVar(&o.NoPortMapping, "no-port-mapping", false, "do not ask the router for a port (UPnP, NAT-PMP)")
	relay.add(f)
	f.Var((*size)(&o.Limits.Memory), "memory",
		"memory that each tasklet may have here, in `BYTES` or with a unit, such as 64MiB (default 256MiB)")
	f.DurationVar(&o.Limits.CPU, "cpu", 0, "`TIME` that each tasklet may compute in all its life (default no limit)")
	f.Int64Var(&o.Limits.Output, "output", 0, "`BYTES` that each tasklet may write in all its life (default no limit)")
	f.IntVar(&o.Limits.Tasklets, "tasklets", 0, "`NUMBER` of tasklets that one other peer may have here (default 256)")
	f.Var((*size)(&o.Limits.Continuations), "continuations",
		"memory that all tasklets of one other peer may have here together, in `BYTES` or with a unit (default 4GiB)")
	f.DurationVar(&o.Checkpoint, "checkpoint", 0,
		"record each tasklet on disk every `TIME`, such as 30s; after a crash it goes on from there,\n"+
			"and what it did since is repeated, messages that it sent included (default never)")
	f.BoolVar(&o.SetAsideJournal, "set-aside-journal", false,
		"if the journal in the data folder is damaged, rename it and start without the tasklets that it knew")
	f.BoolVar(&o.TrustLoops, "trust-loops", false,
		"no program that runs here has a loop that calls nothing for long: such loops compute up to 1.4 times faster,\n"+
			"and a tasklet in one can be neither moved nor killed, and keeps the whole peer waiting")
	return c.jsonFlag(cmd)
}

func (c *cli) run(ctx context.Context, o dstackless.Options) (err error) {
	if o.DataDir, err = c.dataDir(); err != nil {
		return err
	}
	peer, err := dstackless.Start(ctx, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peer.Close()) }()

	server, err := control.Serve(o.DataDir, peer, o.Logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()

	self := control.Self{ID: peer.ID(), Name: peer.Name(), Addrs: peer.Addrs()}
	if err := c.printLines(self, append([]string{self.ID}, self.Addrs...)...); err != nil {
		o.Logger.Warn("the peer's ID and addresses could not be printed", "err", err)
		c.out.err = nil // a peer needs no output
	}
	select {
	case <-ctx.Done():
	case <-server.Done():
	}
	return nil
}

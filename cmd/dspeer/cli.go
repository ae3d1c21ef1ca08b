package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dstackless/dstackless/control"
	"github.com/dstackless/dstackless/tasklet"
)

// The exit statuses that are not a tasklet's.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130
	exitKilled      = 137
)

// cli is one run of the program.
type cli struct {
	in   io.Reader
	out  *output
	errs io.Writer

	data string // --data
	json bool   // --json, of the commands that have it

	// command is the name of the command that runs, once its command line was
	// found good.
	command string
}

// A statusError ends the program with a status of its own, and says nothing
// more.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// A usageError is a wrong command line that only the command itself notices.
type usageError struct{ error }

// execute runs the program and returns its exit status.
func execute(args []string, in io.Reader, out *output, errs io.Writer) int {
	errs = visibleWriter{errs}
	c := &cli{in: in, out: out, errs: errs}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	cmd, err := root.ExecuteC()
	if out.err != nil && (err == nil || c.command == "") { // help and the like, which the library prints
		if c.command = cmd.Name(); cmd == root {
			c.command = "help"
		}
		err = out.err
	}
	return c.status(cmd, err)
}

// status reports err and returns the exit status for it.
func (c *cli) status(cmd *cobra.Command, err error) int {
	var status statusError
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case c.command == "", errors.As(err, &usage):
		what := strings.ReplaceAll(cmd.CommandPath(), " ", ": ")
		fmt.Fprintf(c.errs, "%s: %v\nsee: %s --help\n", what, err, cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(c.errs, "dspeer: %s: %v%s\n", c.command, err, limitHint(tasklet.LimitOf(err)))
	if errors.Is(err, errInterrupted) {
		return exitInterrupted
	}
	return exitFailure
}

// root returns the command line.
func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "dspeer",
		Short: "Share channels by name and move running programs between machines",
		Long: `Dspeer is a peer of a DStackless network, and the commands that talk to it.

Peers share channels by name: what one sends on a channel, one other receives,
wherever it is. Tasklets are programs that run on peers and move from one to
another while they run. There is no server in the middle. A command takes a tasklet
by its ID or the beginning of it, if the peer started or hosts it, and at any peer
by what "dspeer ref" prints.

"dspeer run" is the peer. All other commands talk to a running peer, over a
socket in its data folder that only its user can open. Each command takes --data
to say which folder, if there are several peers on a machine.

Exit status: 0 for success, 1 for failure, 2 for a wrong command line, 130 when
interrupted. "wait" and "spawn --follow" exit with the tasklet's own status, or
137 if it was killed.`,
		Example: `  # on one machine
  dspeer run
  dspeer addrs

  # on another
  dspeer run --bootstrap /ip4/192.0.2.1/udp/4001/quic-v1/p2p/12D3KooW...
  dspeer recv greetings

  # on the first again
  dspeer send greetings hello`,
		Version:       thisBuild().String(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVar(&c.data, "data", "",
		"data folder of the peer (default dspeer in the user's configuration folder"+defaultHint()+")")
	root.SetVersionTemplate("{{.Version}}\n")
	c.add(root, c.runCommand(), c.keyCommand(), c.versionCommand())
	c.add(root, c.idCommand(), c.addrsCommand(), c.peersCommand(), c.lookupCommand(), c.connectCommand())
	c.add(root, c.blockCommand(), c.unblockCommand(), c.blockedCommand())
	c.add(root, c.spawnCommand(), c.psCommand(), c.infoCommand(), c.refCommand(), c.moveCommand(), c.killCommand(), c.waitCommand(), c.logsCommand())
	c.add(root, c.suspendCommand(), c.resumeCommand(), c.drainCommand(), c.decideCommand(), c.whereCommand())
	c.add(root, c.sendCommand(), c.recvCommand(), c.channelsCommand())
	return root
}

// add adds commands, and notes when one of them runs.
func (c *cli) add(root *cobra.Command, cmds ...*cobra.Command) {
	for _, cmd := range cmds {
		run := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			c.command = cmd.Name()
			if err := positive(cmd); err != nil {
				return err
			}
			return run(cmd, args)
		}
		root.AddCommand(cmd)
	}
}

// talk makes a command's work out of what talks to the peer.
func (c *cli) talk(do func(context.Context, *control.Client, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		dir, err := c.dataDir()
		if err != nil {
			return err
		}
		client := control.NewClient(dir)
		defer client.Close()
		return untilInterrupted(cmd.Context(), func(ctx context.Context) error { return do(ctx, client, args) })
	}
}

// ask makes a command's work out of what talks to the peer and prints the answer:
// nothing is done whose answer could not be printed.
func (c *cli) ask(do func(context.Context, *control.Client, []string) error) func(*cobra.Command, []string) error {
	talk := c.talk(do)
	return func(cmd *cobra.Command, args []string) error {
		if err := c.out.ready(); err != nil {
			return err
		}
		return talk(cmd, args)
	}
}

// dataDir returns the data folder.
func (c *cli) dataDir() (string, error) {
	if c.data != "" {
		return c.data, nil
	}
	return defaultData()
}

// defaultData returns the data folder of those who name none.
func defaultData() (string, error) {
	config, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no default data folder (%w); name one with --data DIR", err)
	}
	return filepath.Join(config, "dspeer"), nil
}

// defaultHint returns where the default data folder is, for the help text.
func defaultHint() string {
	dir, err := defaultData()
	if err != nil {
		return ""
	}
	return ", here " + dir
}

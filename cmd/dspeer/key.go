package main

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/dstackless/dstackless/p2p"
)

func (c *cli) keyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Make a key for a private network, and print it",
		Long: `Key makes a key for a private network and prints it, one line. Give it to all its
peers, in a file that only their user can read: peers without it cannot connect to
them, over QUIC or TCP, nor see them on a LAN. Who has it is a member; to shut one
out, give all others a new key.

It needs no running peer.`,
		Example: `  (umask 077; dspeer key > our.key)
  dspeer run --network-key our.key`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(c.out, p2p.NewNetworkKey().Text())
			return err
		},
	}
}

// readNetworkKey reads a key file. One that others may read is refused.
func readNetworkKey(path string) (*p2p.NetworkKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("network key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("network key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && info.Mode().IsRegular() && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("network key %s is open to other users (mode %04o): run \"chmod 600 %s\"", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return nil, fmt.Errorf("network key: %w", err)
	}
	key, err := p2p.ParseNetworkKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("network key %s: %w", path, err)
	}
	return &key, nil
}

package main

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/p2p"
)

// relayFlags are the flags of "dspeer run" about relaying.
type relayFlags struct {
	on           bool
	reservations int
	circuits     int
	data         size
	duration     time.Duration
}

func (r *relayFlags) add(f *pflag.FlagSet) {
	f.BoolVar(&r.on, "relay", false,
		"serve as a relay for peers that cannot be reached; only for a peer that everybody can dial")
	f.IntVar(&r.reservations, "relay-reservations", 128, "`PEERS` that the relay serves at a time")
	f.IntVar(&r.circuits, "relay-circuits", 16, "`CONNECTIONS` that each of them may have through the relay")
	r.data = 128 << 10
	f.Var(&r.data, "relay-data", "`BYTES` after which the relay cuts a connection, in each direction")
	f.DurationVar(&r.duration, "relay-duration", 2*time.Minute, "`TIME` after which the relay cuts a connection")
}

// into checks the flags and puts them into o.
func (r *relayFlags) into(cmd *cobra.Command, o *dstackless.Options) error {
	for _, name := range []string{"relay-reservations", "relay-circuits", "relay-data", "relay-duration"} {
		if cmd.Flags().Changed(name) && !r.on {
			return fmt.Errorf("--%s is of no use without --relay", name)
		}
	}
	if !r.on {
		return nil
	}
	if r.data > math.MaxInt64 {
		return errors.New("--relay-data is too large")
	}
	o.Relay = &p2p.RelayLimits{
		Reservations: r.reservations, Circuits: r.circuits, Data: int64(r.data), Duration: r.duration,
	}
	return nil
}

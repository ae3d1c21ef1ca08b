package p2p

import (
	"fmt"
	"log/slog"
	"net"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/dstackless/dstackless/internal/testhook"
)

// Options configure a [Node]. The zero value, or a nil pointer, is a node with
// a key of its own for this run, listening everywhere.
type Options struct {
	// DataDir is the folder that keeps the peer's key, in the file identity.key,
	// and the IDs of blocked peers, one a line, in the file blocked.
	// Folder and key are created when missing, readable by their owner only.
	// Default: "", a new key for this run, kept nowhere.
	//
	// One running node per folder: two peers with one key confuse a network.
	DataDir string

	// Listen holds the multiaddrs to listen on, such as
	// "/ip4/0.0.0.0/udp/4001/quic-v1" or "/ip4/127.0.0.1/tcp/0"; port 0 means
	// any free one. Every one of them must work, or [Start] fails. A node that
	// listens on one transport alone, QUIC or TCP, dials with that one alone.
	//
	// Default: QUIC and TCP on a free port each, on all IPv4 and IPv6
	// interfaces. A machine without IPv6 is no error then.
	//
	// A node that listens on loopback only stays there: it neither looks for
	// peers on the LAN, nor asks a router for anything, nor lets others find
	// out how it is reached, whatever the other options say. A node that has TestHooks also stays there.
	Listen []string

	// NetworkKey makes the network a private one: only peers with the same key
	// can connect. Default: nil, a network that is open to all.
	NetworkKey *NetworkKey

	// NoLAN turns off mDNS, by which peers on one LAN find each other without
	// an address. Default: false.
	NoLAN bool

	// NoPortMapping turns off NAT-PMP and UPnP, by which the router is asked to
	// let others in: the first answers at once, the second within 10 seconds, and
	// each port is open for 2 minutes at most when the node ends without a word.
	// Default: false.
	NoPortMapping bool

	// Relay has the node serve as a relay for peers that cannot be reached,
	// within these limits, and answer for their reachability more often. Only
	// for a node that can be dialed from anywhere: it takes that as given.
	// Default: nil, it does not serve.
	Relay *RelayLimits

	// Logger takes what an operator may want to know: how the node is reached,
	// which connections are relayed, and what changes of the network do.
	// Default: silence.
	Logger *slog.Logger

	// TestHooks are for the tests of this module. Default: nil.
	TestHooks *testhook.Hooks
}

// anywhere is the default of Options.Listen.
var anywhere = [...]string{
	"/ip4/0.0.0.0/udp/0/quic-v1",
	"/ip6/::/udp/0/quic-v1",
	"/ip4/0.0.0.0/tcp/0",
	"/ip6/::/tcp/0",
}

// listening is a checked Options.Listen.
type listening struct {
	addrs     []ma.Multiaddr
	quic, tcp bool
	all       bool // every address must work
	local     bool // all of them are on loopback
}

// listening checks the listen addresses.
func (o *Options) listening() (*listening, error) {
	texts, l := o.Listen, &listening{all: true, local: true}
	defer func() { l.local = l.local || o.TestHooks != nil }()
	if len(texts) == 0 {
		texts, l.all = anywhere[:], false
	}
	for _, text := range texts {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("p2p: listen address %q: want one such as /ip4/0.0.0.0/udp/0/quic-v1: %w", text, err)
		}
		switch last := a[len(a)-1]; {
		case last.Code() == ma.P_QUIC_V1:
			l.quic = true
		case last.Code() == ma.P_TCP:
			l.tcp = true
		default:
			return nil, fmt.Errorf("p2p: listen address %q: only /udp/PORT/quic-v1 and /tcp/PORT are supported", text)
		}
		l.addrs = append(l.addrs, a)
		l.local = l.local && manet.IsIPLoopback(a)
	}
	return l, nil
}

// free returns an error when another program listens on one of the TCP ports.
// libp2p would not: it shares ports, so as to dial from the one it listens on,
// and the kernel would deal each connection to one of the two programs.
func (l *listening) free() error {
	for _, a := range l.addrs {
		network, addr, err := manet.DialArgs(a)
		if err != nil || (network != "tcp4" && network != "tcp6") {
			continue // not TCP, or a name: libp2p will tell
		}
		probe, err := net.Listen(network, addr)
		if err != nil {
			if l.all {
				return fmt.Errorf("p2p: listen on %s: %w", a, err)
			}
			continue
		}
		probe.Close()
	}
	return nil
}

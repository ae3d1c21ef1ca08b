package dstackless

import (
	"log/slog"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// Options are the settings of a peer. The zero value is a peer of its own that
// keeps nothing and accepts nobody's tasklets.
type Options struct {
	// DataDir is the folder that keeps the peer's key, programs, compiled code
	// and tasklets. With it, a peer that is closed suspends its tasklets and
	// resumes them when it starts again; after a crash each goes on from its
	// last record, see Checkpoint. It is created if need be, and only one
	// running peer may use it. One that other users of the machine can change
	// is refused: see [p2p.PrivateFolder]. Default: none. The peer then has a new key each
	// time it starts, and its tasklets end with it.
	DataDir string

	// Name is what the peer calls itself, so that people can type it in place
	// of its ID: 1 to 32 characters, a to z, 0 to 9 and "-", the first a
	// letter. It is no proof of who the peer is: another may claim the same
	// name, and then neither is found by it, see [Peer.Lookup]. Default: none.
	Name string

	// Checkpoint is the time between two records of each tasklet that runs
	// here, if there is a DataDir. After a crash a tasklet goes on from its
	// last record, and what it did since is repeated, messages that it sent
	// included: a weaker promise than that of an orderly end. Default: records
	// are made only when a tasklet starts, moves or is suspended.
	Checkpoint time.Duration

	// TrustLoops says that all programs that run here are known to have no
	// loop that calls nothing for long, so that such loops can compute up to
	// 1.4 times faster: see tasklet.Options. Default: every loop is looked at.
	TrustLoops bool

	// SetAsideJournal has a journal in DataDir that is damaged renamed, and a
	// new one begun without any tasklet that the peer had. Default: Start
	// returns an error that says what is damaged.
	SetAsideJournal bool

	// Listen are the multiaddrs to listen on. Default: QUIC and TCP on free
	// ports of all interfaces. A peer that listens on loopback only sends
	// nothing that leaves the machine.
	Listen []string

	// Bootstrap are full multiaddrs, with /p2p/, of peers to connect to at
	// the start, and again when the connection is lost. Default: none; the
	// peer is the first of its network, or finds others on its LAN.
	Bootstrap []string

	// NetworkKey makes the network a private one: only peers with the same key
	// can connect. Default: nil, a network that is open to all.
	NetworkKey *p2p.NetworkKey

	// NoLAN turns off mDNS, by which peers on one LAN find each other.
	NoLAN bool

	// NoPortMapping turns off UPnP and NAT-PMP, by which a router is asked to
	// let others in.
	NoPortMapping bool

	// Relay has the peer, which must be one that everybody can dial, serve as
	// a relay for those that nobody can, within these limits. Default: nil, it
	// does not.
	Relay *p2p.RelayLimits

	// Accept says whose tasklets may come here. Each is a peer's ID; a name
	// pinned to one, such as "alice=12D3KooW...", by which only that peer is
	// meant at this one from then on, whoever else claims it; [AcceptNetwork];
	// or [AcceptAny]. A tasklet that was started here may always come back.
	// Default: nobody's.
	Accept []string

	// Functions are the functions that can run here as tasklets, and come from
	// other peers as such, see [tasklet.Func]. Default: none.
	Functions []tasklet.AnyFunction

	// Limits are what tasklets may use of this peer: memory, processor time,
	// output, and what those of one other peer may have together. Default: see
	// there.
	Limits tasklet.Limits

	// Logger takes what an operator may want to know. Default: silence.
	Logger *slog.Logger
}

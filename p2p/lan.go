package p2p

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	// openLAN is the mDNS service of networks without a key.
	openLAN = "_dstackless._udp"
	// maxFound is how many peers found on the LAN are dialed at a time; others
	// announce themselves again.
	maxFound = 16
	// lanTries is how often a peer found on the LAN is dialed.
	lanTries = 5
)

// lanName returns the mDNS service name of a network. Networks with different
// keys have different names, so that they do not even hear of each other.
func lanName(key *NetworkKey) string {
	if key == nil {
		return openLAN
	}
	return "_ds" + hex.EncodeToString(key.derive("mDNS")[:6]) + "._udp"
}

// followLAN announces this node on the LAN, and dials those that do the same,
// until the node closes.
func (n *Node) followLAN(name string) {
	again := make(chan struct{}, 1)
	defer n.OnChange(func() {
		select {
		case again <- struct{}{}:
		default:
		}
	})()
	for {
		// The service announces the addresses that there are when it starts.
		s := mdns.NewMdnsService(lanHost{n.host}, name, &found{n, make(chan struct{}, maxFound)})
		if err := s.Start(); err != nil {
			n.log.Info("peers on the LAN are not looked for", "reason", err)
		}
		select {
		case <-again:
			s.Close()
		case <-n.ctx.Done():
			s.Close()
			return
		}
	}
}

// lanHost is a host that tells mDNS at which addresses it listens now. libp2p
// itself may tell those of a minute ago.
type lanHost struct{ host.Host }

func (h lanHost) Network() network.Network { return lanNetwork{h.Host.Network()} }

type lanNetwork struct{ network.Network }

func (w lanNetwork) InterfaceListenAddresses() ([]ma.Multiaddr, error) {
	return listenAddrs(w.Network, machineAddrs()), nil
}

// found takes what mDNS finds.
type found struct {
	node *Node
	room chan struct{}
}

func (f *found) HandlePeerFound(info peer.AddrInfo) {
	n := f.node
	if !n.begin() {
		return
	}
	defer n.work.Done()
	select {
	case f.room <- struct{}{}:
		defer func() { <-f.room }()
	default:
		return
	}
	info.Addrs = info.Addrs[:min(len(info.Addrs), maxAddrs)]
	// Who announces itself anew may have a new address, and the connection to
	// the old one be dead.
	n.doubt(info.ID)
	wait := time.Second
	for range lanTries {
		if n.host.Network().Connectedness(info.ID) == network.Connected {
			return
		}
		ctx, cancel := context.WithTimeout(n.ctx, carrierTimeout)
		err := n.host.Connect(network.WithForceDirectDial(ctx, "LAN"), info)
		cancel()
		if err == nil {
			n.log.Info("found on the LAN", "peer", info.ID)
			return
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-n.ctx.Done():
			return
		}
	}
}

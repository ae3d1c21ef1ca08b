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
	// openNetworkService is the mDNS service of networks without a key.
	openNetworkService = "_dstackless._udp"
	// lanDialsMax is how many peers found on the LAN are dialed at a time. Others
	// are dropped; they announce themselves again.
	lanDialsMax = 16
	// lanDialTriesMax is how often a peer found on the LAN is dialed.
	lanDialTriesMax = 5
)

// mdnsService returns the mDNS service name of a network. Networks with different
// keys have different names, so that their peers do not find each other.
func mdnsService(key *NetworkKey) string {
	if key == nil {
		return openNetworkService
	}
	return "_ds" + hex.EncodeToString(key.derive("mDNS")[:6]) + "._udp"
}

// findLANPeers announces this node on the LAN, and dials the peers that it finds
// there, until the node closes.
func (n *Node) findLANPeers(name string) {
	again := make(chan struct{}, 1)
	defer n.OnChange(func() {
		select {
		case again <- struct{}{}:
		default:
		}
	})()
	for {
		// The service announces the addresses that there are when it starts.
		s := mdns.NewMdnsService(lanHost{n.host}, name, &mdnsNotifee{n, make(chan struct{}, lanDialsMax)})
		if err := s.Start(); err != nil {
			n.log.Info("mDNS disabled", "error", err)
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

// lanHost is the host that mDNS gets. It returns the addresses that the machine has
// now; libp2p's own list may be a minute old.
type lanHost struct{ host.Host }

func (h lanHost) Network() network.Network { return lanNetwork{h.Host.Network()} }

type lanNetwork struct{ network.Network }

func (w lanNetwork) InterfaceListenAddresses() ([]ma.Multiaddr, error) {
	return listenAddrs(w.Network, machineAddrs()), nil
}

// mdnsNotifee dials the peers that mDNS finds.
type mdnsNotifee struct {
	node *Node
	room chan struct{}
}

func (f *mdnsNotifee) HandlePeerFound(info peer.AddrInfo) {
	n := f.node
	if !n.work.Enter() {
		return
	}
	defer n.work.Leave()
	select {
	case f.room <- struct{}{}:
		defer func() { <-f.room }()
	default:
		return
	}
	info.Addrs = info.Addrs[:min(len(info.Addrs), maxAddrs)]
	// A peer that announces itself again may have a new address, and the
	// connection to its old address may be dead.
	n.probe(info.ID)
	wait := time.Second
	for range lanDialTriesMax {
		if n.host.Network().Connectedness(info.ID) == network.Connected {
			return
		}
		ctx, cancel := context.WithTimeout(n.ctx, stepTimeout)
		err := n.host.Connect(network.WithForceDirectDial(ctx, "LAN"), info)
		cancel()
		if err == nil {
			n.log.Info("peer found on the LAN", "peer", info.ID)
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

package p2p

import (
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/x/rate"
)

const (
	// fewConnections is how many connections are kept when there are more than
	// manyConnections; protected peers are never dropped. libp2p's own 160 and
	// 192 would have a busy channel's home drop its members.
	fewConnections, manyConnections = 768, 1024
	// perAddress is how many connections one IP address, so one NAT, may have
	// open here. libp2p's own 8 is less than one office has peers. Loopback is
	// not limited.
	perAddress = 128
	// streamsOfPeer is how many streams one peer may have open here, and
	// streamsOfProtocol how many of them in one protocol; the machine's memory
	// adds some. All peers together may have streamsOfAll.
	streamsOfPeer, streamsOfProtocol, streamsOfAll = 2048, 1024, 16384
	// streamsUnnamed is how many streams may be open that have not said their
	// protocol, for which they have 10 seconds. libp2p's own few hundred are
	// less than one peer may have, so that one could keep out all others.
	streamsUnnamed = streamsOfAll / 2
)

// resourceManager returns libp2p's resource limits, which grow with the
// machine's memory, with more room where channels need it: libp2p takes at most
// 64 streams of one protocol from one peer at a time, and on a machine of 8 GB
// 128 connections from outside.
func resourceManager() (network.ResourceManager, error) {
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	streams := func(l *rcmgr.BaseLimit, n int) {
		l.StreamsInbound, l.StreamsOutbound, l.Streams = n, n, 2*n
	}
	streams(&limits.SystemBaseLimit, streamsOfAll)
	streams(&limits.TransientBaseLimit, streamsUnnamed)
	streams(&limits.ProtocolBaseLimit, streamsOfAll/2)
	streams(&limits.PeerBaseLimit, streamsOfPeer)
	streams(&limits.ProtocolPeerBaseLimit, streamsOfProtocol)
	limits.ProtocolPeerBaseLimit.Memory = limits.PeerBaseLimit.Memory
	limits.SystemBaseLimit.ConnsInbound = manyConnections
	limits.SystemBaseLimit.ConnsOutbound = manyConnections
	limits.SystemBaseLimit.Conns = 2 * manyConnections
	limits.SystemBaseLimit.FD = manyConnections
	// libp2p's own limits of 16 new connections from one address, and then one
	// each 5 seconds, are for strangers. All relayed connections count as the
	// relay's, and a move over one takes hundreds.
	opened := rate.Limit{RPS: 100, Burst: 500}
	opening := &rate.Limiter{
		NetworkPrefixLimits: []rate.PrefixLimit{
			{Prefix: netip.MustParsePrefix("127.0.0.0/8")}, {Prefix: netip.MustParsePrefix("::1/128")},
		},
		SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: opened}},
			IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: opened}},
			GracePeriod:      time.Minute,
		},
	}
	return rcmgr.NewResourceManager(
		rcmgr.NewFixedLimiter(limits.AutoScale()),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithConnRateLimiters(opening),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{ConnCount: perAddress, PrefixLength: 32}},
			[]rcmgr.ConnLimitPerSubnet{{ConnCount: perAddress, PrefixLength: 56}},
		),
		rcmgr.WithNetworkPrefixLimit(
			[]rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix("127.0.0.0/8"), ConnCount: 1 << 30}},
			[]rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix("::1/128"), ConnCount: 1 << 30}},
		),
	)
}

func connectionManager() (*connmgr.BasicConnMgr, error) {
	return connmgr.NewConnManager(fewConnections, manyConnections)
}

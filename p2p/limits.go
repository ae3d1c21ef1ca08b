package p2p

import (
	"net/netip"
	"time"

	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/x/rate"

	"github.com/dstackless/dstackless/p2p/quota"
)

const (
	// connsLowWater is how many connections are kept when there are more than
	// connsHighWater; protected peers are never dropped. libp2p's own 160 and
	// 192 would have a busy channel's home drop its members.
	connsLowWater, connsHighWater = 768, 1024
	// connsOfAddrMax is how many connections one IP address, so one NAT, may have
	// open here. libp2p's own 8 is less than one office has peers. Loopback is
	// not limited.
	connsOfAddrMax = 128
	// handshakesMax is how many connections that others dialed may be under
	// handshake.
	handshakesMax = 512
	// streamsOfPeerMax is how many streams one peer may have opened here, and
	// streamsMax all peers together, whether they have said their protocol, for
	// which they have 10 seconds, or not.
	streamsOfPeerMax, streamsMax = 2048, 16384
)

// strangersPart returns what strangers may have of what is for all.
func strangersPart(all int) int { return all / 4 * 3 }

// shared returns the limits of a pool of which one peer may have so much.
func shared(all, each int) quota.Limits {
	return quota.Limits{All: all, Strangers: strangersPart(all), Each: each}
}

var (
	// ownStreams limits the streams of each protocol that this module serves
	// itself, see [Node.Handle]: its handlers bound the memory that they take for
	// a stream.
	ownStreams = shared(8192, 1024)
	// libraryStreams limits the streams of each protocol that another library
	// serves, and libraryProtocols those of some of these. Such a handler may take
	// memory for a whole message on the word of a length.
	libraryStreams   = shared(512, 16)
	libraryProtocols = map[Protocol]quota.Limits{
		// A stream of these stays open as long as a relayed connection.
		proto.ProtoIDv2Hop:  shared(4096, 128),
		proto.ProtoIDv2Stop: shared(1024, 256),
	}
)

// libp2pLimits returns libp2p's own limits, which grow with the machine's memory.
// They count by peer ID alone. So all that strangers can fill is above what
// resources, which compare addresses, let through.
func libp2pLimits() rcmgr.Limiter {
	limits := rcmgr.DefaultLimits
	streams := func(l *rcmgr.BaseLimit, n int) {
		l.StreamsInbound, l.StreamsOutbound, l.Streams = n, n, 2*n
	}
	conns := func(l *rcmgr.BaseLimit, n int) {
		l.ConnsInbound, l.ConnsOutbound, l.Conns, l.FD = n, n, 2*n, 2*n
	}
	for _, l := range []*rcmgr.BaseLimit{
		&limits.SystemBaseLimit, &limits.TransientBaseLimit,
		&limits.ProtocolBaseLimit, &limits.ServiceBaseLimit,
		&limits.ProtocolPeerBaseLimit, &limits.ServicePeerBaseLimit, &limits.PeerBaseLimit,
	} {
		streams(l, 2*streamsMax)
	}
	conns(&limits.SystemBaseLimit, connsHighWater+handshakesMax)
	conns(&limits.TransientBaseLimit, 2*handshakesMax)
	for _, l := range []*rcmgr.BaseLimit{&limits.ProtocolBaseLimit, &limits.ServiceBaseLimit} {
		l.Memory = limits.SystemBaseLimit.Memory
	}
	for _, x := range []*rcmgr.BaseLimitIncrease{&limits.ProtocolLimitIncrease, &limits.ServiceLimitIncrease} {
		x.Memory = limits.SystemLimitIncrease.Memory
	}
	for _, l := range []*rcmgr.BaseLimit{&limits.ProtocolPeerBaseLimit, &limits.ServicePeerBaseLimit} {
		l.Memory = limits.PeerBaseLimit.Memory
	}
	return rcmgr.NewFixedLimiter(limits.AutoScale())
}

// libp2pOptions are the limits that are not in libp2pLimits.
func libp2pOptions() []rcmgr.Option {
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
	return []rcmgr.Option{
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithConnRateLimiters(opening),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{ConnCount: connsOfAddrMax, PrefixLength: 32}},
			[]rcmgr.ConnLimitPerSubnet{{ConnCount: connsOfAddrMax, PrefixLength: 56}},
		),
		rcmgr.WithNetworkPrefixLimit(
			[]rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix("127.0.0.0/8"), ConnCount: 1 << 30}},
			[]rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix("::1/128"), ConnCount: 1 << 30}},
		),
	}
}

func connectionManager() (*connmgr.BasicConnMgr, error) {
	return connmgr.NewConnManager(connsLowWater, connsHighWater)
}

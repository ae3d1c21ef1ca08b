package peertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	kadpb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multihash"
	"google.golang.org/protobuf/proto"

	channels "github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/content"
)

// An Attack is something that a stranger does over and over.
type Attack string

const (
	// AttackTable announces messages of 4 MiB to the hash table, and sends a byte
	// of each.
	AttackTable Attack = "table"
	// AttackRecords announces content of all kinds in the hash table.
	AttackRecords Attack = "records"
	// AttackBlocks announces messages of 4 MiB to bitswap. Of one in eight it sends
	// all but the last byte, of the others one byte.
	AttackBlocks Attack = "blocks"
	// AttackStreams opens streams that do not say their protocol.
	AttackStreams Attack = "streams"
	// AttackResumable opens resumable streams of tasklets and content that stay idle.
	AttackResumable Attack = "resumable"
	// AttackUnread opens resumable streams that announce 16 KiB, and sends one byte.
	AttackUnread Attack = "unread"
	// AttackGone opens a hundred resumable streams, and loses the connection.
	AttackGone Attack = "gone"
	// AttackChannels opens sessions of channels that bring half a frame of 4 KiB.
	AttackChannels Attack = "channels"
	// AttackHandshakes makes TCP connections that say nothing.
	AttackHandshakes Attack = "handshakes"
	// AttackReservations asks for a place at the victim as a relay.
	AttackReservations Attack = "reservations"
)

// attacks do each attack once.
var attacks = map[Attack]func(*Stranger, context.Context) error{
	AttackTable: func(s *Stranger, ctx context.Context) error {
		return s.leave(ctx, kadProtocol, announced4MiB)
	},
	AttackRecords: (*Stranger).announce,
	AttackBlocks: func(s *Stranger, ctx context.Context) error {
		data := announced4MiB
		if s.done%8 == 0 {
			data = append(bytes.Clone(data), make([]byte, 4<<20-2)...)
		}
		return s.leave(ctx, bitswapProtocol, data)
	},
	AttackStreams: (*Stranger).openUnnamed,
	AttackResumable: func(s *Stranger, ctx context.Context) error {
		p := tasklet.Protocol
		if s.done%2 == 0 {
			p = content.Protocol
		}
		return s.openResumable(ctx, p, nil)
	},
	AttackUnread: func(s *Stranger, ctx context.Context) error {
		const data, at = 1, 0
		return s.openResumable(ctx, tasklet.Protocol, binary.AppendUvarint([]byte{data, at}, 16<<10))
	},
	AttackGone: (*Stranger).goAway,
	AttackChannels: func(s *Stranger, ctx context.Context) error {
		return s.leave(ctx, channels.Protocol, append(binary.AppendUvarint(nil, 4<<10), make([]byte, 2<<10)...))
	},
	AttackHandshakes: (*Stranger).dialRaw,
	AttackReservations: func(s *Stranger, ctx context.Context) error {
		_, err := client.Reserve(ctx, s.host, s.victim)
		return err
	},
}

const (
	kadProtocol       protocol.ID = "/dstackless/kad/1.0.0"
	bitswapProtocol   protocol.ID = "/ipfs/bitswap/1.2.0"
	resumableProtocol protocol.ID = "/dstackless/resumable/1.0.0"
)

// announced4MiB is the length of a message, and its first byte.
var announced4MiB = []byte{0x80, 0x80, 0x80, 0x02, 0}

// leave opens a stream that says data and no more, and leaves it there.
func (s *Stranger) leave(ctx context.Context, p protocol.ID, data []byte) error {
	stream, err := s.Open(ctx, p, data)
	if err != nil {
		return err
	}
	s.hold(func() { stream.Reset() })
	return nil
}

// announce says that the stranger has something that nobody has heard of.
func (s *Stranger) announce(ctx context.Context) error {
	random := make([]byte, 32)
	rand.Read(random)
	key, err := multihash.Sum(random, multihash.SHA2_256, -1)
	if err != nil {
		return err
	}
	m := kadpb.NewMessage(kadpb.Message_ADD_PROVIDER, key, 0)
	m.ProviderPeers = kadpb.RawPeerInfosToPBPeers([]peer.AddrInfo{{ID: s.host.ID(), Addrs: s.host.Addrs()}})
	body, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	stream, err := s.Open(ctx, kadProtocol, append(binary.AppendUvarint(nil, uint64(len(body))), body...))
	if err != nil {
		return err
	}
	return stream.Close()
}

func (s *Stranger) openUnnamed(ctx context.Context) error {
	conns := s.host.Network().ConnsToPeer(s.victim.ID)
	if len(conns) == 0 {
		return network.ErrNoConn
	}
	stream, err := conns[0].NewStream(ctx)
	if err != nil {
		return err
	}
	s.hold(func() { stream.Reset() })
	_, err = stream.Write([]byte{19}) // the length of a word, and no word
	return err
}

// openResumable opens a resumable stream, which the victim takes, and says more on it.
func (s *Stranger) openResumable(ctx context.Context, p protocol.ID, more []byte) error {
	const open, received, protocols = 1, 0, 1
	hello := append([]byte{open}, make([]byte, 16)...)
	rand.Read(hello[1:])
	hello = append(hello, received, protocols, byte(len(p)))
	stream, err := s.Open(ctx, resumableProtocol, append(hello, p...))
	if err != nil {
		return err
	}
	verdict := []byte{0}
	if _, err := io.ReadFull(stream, verdict); err != nil || verdict[0] != 0 {
		stream.Reset()
		return errors.Join(err, fmt.Errorf("a resumable stream is refused with %d", verdict[0]))
	}
	s.hold(func() { stream.Reset() })
	_, err = stream.Write(more)
	return err
}

func (s *Stranger) goAway(ctx context.Context) error {
	for range 100 {
		if err := s.openResumable(ctx, tasklet.Protocol, nil); err != nil {
			break
		}
	}
	return s.host.Network().ClosePeer(s.victim.ID)
}

func (s *Stranger) dialRaw(ctx context.Context) error {
	_, to, err := manet.DialArgs(s.victim.Addrs[0])
	if err != nil {
		return err
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(s.addr)}, Timeout: 5 * time.Second}
	c, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		return err
	}
	s.hold(func() { c.Close() })
	return nil
}

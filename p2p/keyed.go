package p2p

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/tcpreuse"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/dstackless/dstackless/p2p/quota"
)

// How strangers are kept out
//
// libp2p's own private networks encrypt the bytes of a TCP connection once
// more under the shared key, and refuse QUIC. Here each side proves that it has
// the key on the first stream of a connection, below libp2p's swarm: what has
// not proved it never becomes a connection on which any protocol, identify
// included, is spoken. That is the same for QUIC and TCP.
//
// A proof is an HMAC under the key over both peer IDs, which the connection's
// own handshake has authenticated, and a nonce of each side. So it is worth
// nothing on another connection: a stranger between two members would have to
// show each of them a proof that names the stranger.
//
// A relayed connection needs no proof of its own: each of its two ends is
// connected to the relay, and has let it prove the key.

const (
	// A peer that knows nothing of keys takes this for the beginning of a
	// negotiation, and turns it down at once.
	proofGreeting        = "\x09/dsnet/1\n"
	nonceSize, proofSize = 32, 32
	// proofTimeout is how long the proofs may take for who dials, and
	// acceptedProofTimeout for a connection that a listener accepted.
	proofTimeout, acceptedProofTimeout = 10 * time.Second, 3 * time.Second
	// provingMax is how many connections that a listener accepted may be under
	// proof. When there are more, the oldest one ends of the address that has most.
	provingMax = 256
)

var errNoNetworkKey = errors.New("the peer does not have this network's key")

// keyed is a transport whose connections prove a network key.
type keyed struct {
	transport.Transport
	key *NetworkKey
}

func keyedQUIC(key *NetworkKey) any {
	return func(priv crypto.PrivKey, cm *quicreuse.ConnManager, gater connmgr.ConnectionGater, rm network.ResourceManager) (*keyed, error) {
		t, err := libp2pquic.NewTransport(priv, cm, nil, gater, rm)
		return &keyed{t, key}, err
	}
}

func keyedTCP(key *NetworkKey) any {
	return func(u transport.Upgrader, rm network.ResourceManager, shared *tcpreuse.ConnMgr) (*keyed, error) {
		t, err := tcp.NewTCPTransport(u, rm, shared)
		return &keyed{t, key}, err
	}
}

func (t *keyed) Dial(ctx context.Context, addr ma.Multiaddr, peer ID) (transport.CapableConn, error) {
	c, err := t.Transport.Dial(ctx, addr, peer)
	if err != nil {
		return nil, err
	}
	// In a hole punch both sides dial, and one of them accepts.
	punch, first, _ := network.GetSimultaneousConnect(ctx)
	if err := prove(ctx, t.key, c, !punch || first, proofTimeout); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the transport, if it can be ended.
func (t *keyed) Close() error {
	if c, ok := t.Transport.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (t *keyed) Listen(addr ma.Multiaddr) (transport.Listener, error) {
	inner, err := t.Transport.Listen(addr)
	if err != nil {
		return nil, err
	}
	l := &keyedListener{Listener: inner, key: t.key, proved: make(chan transport.CapableConn)}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	l.work.Go(l.run)
	return l, nil
}

// ListenOrder is that of the transport inside: QUIC before what shares its port.
func (t *keyed) ListenOrder() int {
	if o, ok := t.Transport.(interface{ ListenOrder() int }); ok {
		return o.ListenOrder()
	}
	return 0
}

// keyedListener lets through the connections that prove the key.
type keyedListener struct {
	transport.Listener
	key    *NetworkKey
	proved chan transport.CapableConn
	ctx    context.Context
	cancel context.CancelCauseFunc
	work   sync.WaitGroup
}

func (l *keyedListener) run() {
	proving := quota.New(quota.Limits{All: provingMax, Strangers: provingMax})
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			l.cancel(err)
			return
		}
		holder := quota.Holder{Peer: string(c.RemotePeer()), Addr: ipOf(c.RemoteMultiaddr())}
		share := proving.Take(holder, 1, func() { l.work.Go(func() { c.Close() }) })
		if share == nil { // one peer has many, and nobody else any
			c.Close()
			continue
		}
		l.work.Go(func() {
			err := prove(l.ctx, l.key, c, false, acceptedProofTimeout)
			share.Return()
			if err != nil {
				c.Close()
				return
			}
			select {
			case l.proved <- c:
			case <-l.ctx.Done():
				c.Close()
			}
		})
	}
}

func (l *keyedListener) Accept() (transport.CapableConn, error) {
	select {
	case c := <-l.proved:
		return c, nil
	case <-l.ctx.Done():
		return nil, context.Cause(l.ctx)
	}
}

func (l *keyedListener) Close() error {
	err := l.Listener.Close()
	l.cancel(transport.ErrListenerClosed)
	l.work.Wait()
	return err
}

// prove exchanges proofs on the first stream of a connection, which the side
// that is first opens:
//
//	first   "\x09/dsnet/1\n" nonce(32)
//	second  nonce(32) proof(32)
//	first   proof(32)
func prove(ctx context.Context, key *NetworkKey, c transport.CapableConn, first bool, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	var s network.MuxedStream
	var err error
	if first {
		s, err = c.OpenStream(ctx)
	} else {
		s, err = c.AcceptStream()
	}
	if err != nil {
		return err
	}
	defer s.Close()
	if first {
		err = proveFirst(key, s, c.LocalPeer(), c.RemotePeer())
	} else {
		err = proveSecond(key, s, c.RemotePeer(), c.LocalPeer())
	}
	if err != nil {
		s.Reset()
		return errors.Join(ctx.Err(), err)
	}
	return nil
}

func proveFirst(key *NetworkKey, s io.ReadWriter, first, second ID) error {
	var mine [nonceSize]byte
	rand.Read(mine[:])
	if _, err := s.Write(append([]byte(proofGreeting), mine[:]...)); err != nil {
		return err
	}
	var theirs [nonceSize + proofSize]byte
	if _, err := io.ReadFull(s, theirs[:]); err != nil {
		return errors.Join(errNoNetworkKey, err)
	}
	nonce, shown := theirs[:nonceSize], theirs[nonceSize:]
	if !hmac.Equal(shown, proof(key, "second", first, second, mine[:], nonce)) {
		return errNoNetworkKey
	}
	_, err := s.Write(proof(key, "first", first, second, mine[:], nonce))
	return err
}

func proveSecond(key *NetworkKey, s io.ReadWriter, first, second ID) error {
	var theirs, mine [nonceSize]byte
	// Who begins otherwise knows nothing of keys, and is sent away at once.
	var greeting [len(proofGreeting)]byte
	if _, err := io.ReadFull(s, greeting[:]); err != nil {
		return err
	}
	if string(greeting[:]) != proofGreeting {
		return errNoNetworkKey
	}
	if _, err := io.ReadFull(s, theirs[:]); err != nil {
		return err
	}
	rand.Read(mine[:])
	out := append(mine[:], proof(key, "second", first, second, theirs[:], mine[:])...)
	if _, err := s.Write(out); err != nil {
		return err
	}
	var shown [proofSize]byte
	if _, err := io.ReadFull(s, shown[:]); err != nil {
		return errors.Join(errNoNetworkKey, err)
	}
	if !hmac.Equal(shown[:], proof(key, "first", first, second, theirs[:], mine[:])) {
		return errNoNetworkKey
	}
	return nil
}

func proof(key *NetworkKey, of string, first, second ID, firstNonce, secondNonce []byte) []byte {
	return key.derive("proof of the "+of, []byte(first), []byte(second), firstNonce, secondNonce)
}

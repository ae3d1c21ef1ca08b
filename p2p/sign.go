package p2p

import (
	"errors"
	"fmt"
)

// ErrSignature says that a signature is not the peer's.
var ErrSignature = errors.New("signature is not the peer's")

// Sign signs data with the node's key. Whoever signs begins data with what it is
// about, so that a signature stands for nothing else.
func (n *Node) Sign(data []byte) ([]byte, error) {
	key := n.host.Peerstore().PrivKey(n.ID())
	if key == nil {
		return nil, ErrClosed
	}
	sig, err := key.Sign(data)
	if err != nil {
		return nil, fmt.Errorf("p2p: sign: %w", err)
	}
	return sig, nil
}

// Verify reports whether the peer has signed data. The error is [ErrSignature],
// also for a peer whose key is not in its ID, as that of an RSA key.
func Verify(id ID, data, sig []byte) error {
	key, err := id.ExtractPublicKey()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if ok, err := key.Verify(data, sig); err != nil || !ok {
		return ErrSignature
	}
	return nil
}

package p2p

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// ID names a peer: the hash of its public key, or for Ed25519 the key itself.
// Only the holder of the private key can answer under it. Its String form
// begins with "12D3Koo" and is what [ParseID] reads.
type ID = peer.ID

// Protocol names what is spoken on a stream, such as "/dstackless/channel/1".
type Protocol = protocol.ID

// Stream is one ordered, reliable, two-way flow of bytes to another peer. Its
// reads and writes obey deadlines, not contexts. Close ends it in good order,
// Reset at once; one or the other must be called.
type Stream = network.Stream

// ParseID reads the text form of an [ID], either "12D3Koo..." or a CIDv1 of
// the key.
func ParseID(text string) (ID, error) {
	if text == "" {
		return "", fmt.Errorf("p2p: peer ID is empty, want a text such as 12D3KooW")
	}
	id, err := peer.Decode(text)
	if err != nil {
		return "", fmt.Errorf("p2p: %q is not a peer ID, want a text such as 12D3KooW: %w", text, err)
	}
	return id, nil
}

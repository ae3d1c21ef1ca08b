package dht

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// A claim is a signed statement of a peer's name. It expires. Anybody may pass it on.
//
//	expires    8 bytes, seconds since 1970, big endian
//	name       1 byte, its length, and the name
//	signature  the rest
type claim struct {
	name      Name
	expires   int64
	signature []byte
}

const (
	// claimDomain is what every signed text of a claim begins with.
	claimDomain = "/dstackless/name/claim/1\x00"
	// claimMaxBytes is how long a claim may be, in bytes. That of the longest name
	// has 105 with an Ed25519 key.
	claimMaxBytes = 128
	// claimLifetime is how long a claim stands.
	claimLifetime = time.Hour
	// claimLifetimeMax is how far ahead the end of a claim may be. It leaves room
	// for clocks that differ.
	claimLifetimeMax = 24 * time.Hour
)

// errClaim is the error of a claim that is malformed, expired, or not the peer's own.
var errClaim = errors.New("invalid name claim")

// newClaim makes this node's claim.
func newClaim(node *p2p.Node, name Name, now time.Time) (*claim, error) {
	c := &claim{name: name, expires: now.Add(claimLifetime).Unix()}
	var err error
	c.signature, err = node.Sign(c.signed())
	return c, err
}

// text is what is said before the signature.
func (c *claim) text() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(c.expires))
	return append(append(b, byte(len(c.name))), c.name...)
}

func (c *claim) signed() []byte { return append([]byte(claimDomain), c.text()...) }

func (c *claim) bytes() []byte { return append(c.text(), c.signature...) }

// parseClaim reads a claim. It has one form only.
func parseClaim(b []byte) (*claim, error) {
	const head = 9
	if len(b) < head || len(b) > claimMaxBytes {
		return nil, fmt.Errorf("%w: it has %d bytes", errClaim, len(b))
	}
	end := head + int(b[head-1])
	if end >= len(b) {
		return nil, fmt.Errorf("%w: it is cut off", errClaim)
	}
	name, err := ParseName(string(b[head:end]))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errClaim, err)
	}
	return &claim{name, int64(binary.BigEndian.Uint64(b)), b[end:]}, nil
}

// verify reports whether the claim is of that peer, and stands at the time now.
func (c *claim) verify(of p2p.ID, now time.Time) error {
	if err := p2p.Verify(of, c.signed(), c.signature); err != nil {
		return fmt.Errorf("%w: %w", errClaim, err)
	}
	switch left := c.expires - now.Unix(); {
	case left <= 0:
		return fmt.Errorf("%w: it expired at %s; do the clocks of both peers agree?", errClaim, time.Unix(c.expires, 0).UTC())
	case left > int64(claimLifetimeMax/time.Second):
		return fmt.Errorf("%w: it stands for more than %v", errClaim, claimLifetimeMax)
	}
	return nil
}

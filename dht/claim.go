package dht

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// A claim is a peer's word for what it calls itself. It stands for a while only,
// and is worth the same whoever hands it on: it is signed.
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
	// maxClaim is how long a claim may be, in bytes. That of the longest name
	// has 105 with an Ed25519 key.
	maxClaim = 128
	// claimTime is how long a claim stands.
	claimTime = time.Hour
	// maxClaimTime is how far ahead the end of a claim may be. It leaves room
	// for clocks that differ.
	maxClaimTime = 24 * time.Hour
)

// errClaim says that what a peer shows for its name is no claim of its own.
var errClaim = errors.New("no claim of that peer's to a name")

// newClaim makes this node's claim.
func newClaim(node *p2p.Node, name Name, now time.Time) (*claim, error) {
	c := &claim{name: name, expires: now.Add(claimTime).Unix()}
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
	if len(b) < head || len(b) > maxClaim {
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
	case left > int64(maxClaimTime/time.Second):
		return fmt.Errorf("%w: it stands for more than %v", errClaim, maxClaimTime)
	}
	return nil
}

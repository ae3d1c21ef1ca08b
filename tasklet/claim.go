package tasklet

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/dstackless/dstackless/p2p"
)

// A Claim says which peer has a tasklet, so that it can be checked by anybody.
// A tasklet's ID is a hash of the key of the peer that started it; each host
// signs to whom it gives the tasklet. So a stranger cannot claim a tasklet; one
// of its former hosts could, and of two claims the one with more transfers is
// believed.
type Claim struct {
	Origin string   // ID of the peer that started the tasklet
	Nonce  [16]byte // with Origin, makes the tasklet's ID
	Links  []Link
}

// A Link is one transfer of a tasklet. The first of a claim is signed by the
// origin, each other one by the peer that the one before names.
type Link struct {
	Seq  uint64 // counts all transfers; the first of a claim has any, others follow
	To   string // peer
	Sign []byte
}

// maxLinks is how often a tasklet may move without coming by its origin until
// its claim is no longer continued, so that only its origin can find it.
const maxLinks = 256

const (
	idDomain   = "/dstackless/tasklet/id/1\x00"
	linkDomain = "/dstackless/tasklet/link/1\x00"
)

// newClaim makes the claim of a new tasklet.
func newClaim(origin string) *Claim {
	c := &Claim{Origin: origin}
	rand.Read(c.Nonce[:])
	return c
}

// id returns the ID of the tasklet that the claim is for.
func (c *Claim) id() ID {
	h := sha256.New()
	h.Write([]byte(idDomain))
	h.Write(c.Nonce[:])
	h.Write([]byte(c.Origin))
	return ID(hex.EncodeToString(h.Sum(nil)[:16]))
}

// holder returns the peer that a claim for the tasklet names, and how many
// transfers led there, or what is wrong with the claim.
func (c *Claim) holder(id ID) (host p2p.ID, seq uint64, err error) {
	if c.id() != id || len(c.Links) > maxLinks {
		return "", 0, fmt.Errorf("%w: claim of another tasklet", ErrContinuation)
	}
	if host, err = p2p.ParseID(c.Origin); err != nil {
		return "", 0, err
	}
	for n, l := range c.Links {
		if n > 0 && l.Seq != seq+1 || l.Seq == 0 {
			return "", 0, fmt.Errorf("%w: claim with a gap", ErrContinuation)
		}
		if err := p2p.Verify(host, linkText(id, l.Seq, l.To), l.Sign); err != nil {
			return "", 0, fmt.Errorf("%w: claim: %w", ErrContinuation, err)
		}
		if host, err = p2p.ParseID(l.To); err != nil {
			return "", 0, err
		}
		seq = l.Seq
	}
	return host, seq, nil
}

// linkText is what is signed.
func linkText(id ID, seq uint64, to string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte(linkDomain+string(id)), seq), to...)
}

// pass continues the claim to another peer, if this peer is its holder. The
// origin's word stands for all that was before.
func (h *Host) pass(id ID, c *Claim, to p2p.ID) *Claim {
	host, seq, err := c.holder(id)
	if err != nil || host != h.node.ID() {
		return c
	}
	next := &Claim{Origin: c.Origin, Nonce: c.Nonce}
	if c.Origin != host.String() {
		next.Links = append(next.Links, c.Links...)
	}
	sign, err := h.node.Sign(linkText(id, seq+1, to.String()))
	if err != nil || len(next.Links) == maxLinks {
		return c
	}
	next.Links = append(next.Links, Link{Seq: seq + 1, To: to.String(), Sign: sign})
	return next
}

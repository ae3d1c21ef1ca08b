package tasklet

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"

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

const (
	// maxLinks is how many transfers a claim may list. The peer that started the
	// tasklet can replace them by one, see [Host.renew].
	maxLinks = 256
	// maxPeerID and maxSignature bound what a link consists of, in bytes.
	maxPeerID    = 128
	maxSignature = 128
)

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

// validate checks the claim's form, and that it is for the tasklet. It does not
// check signatures, which takes some 50 microseconds each.
func (c *Claim) validate(id ID) error {
	if len(c.Origin) > maxPeerID || len(c.Links) > maxLinks {
		return fmt.Errorf("%w: claim over a limit", ErrContinuation)
	}
	if c.id() != id {
		return fmt.Errorf("%w: claim of another tasklet", ErrContinuation)
	}
	for n, l := range c.Links {
		switch {
		case len(l.To) > maxPeerID || len(l.Sign) > maxSignature:
			return fmt.Errorf("%w: claim over a limit", ErrContinuation)
		case l.Seq == 0 || l.Seq > math.MaxInt64 || n > 0 && l.Seq != c.Links[n-1].Seq+1:
			return fmt.Errorf("%w: claim with a gap", ErrContinuation)
		}
	}
	return nil
}

// holder returns the peer that a claim for the tasklet names, and how many
// transfers led there, or what is wrong with the claim.
func (c *Claim) holder(id ID) (host p2p.ID, seq uint64, err error) {
	if err := c.validate(id); err != nil {
		return "", 0, err
	}
	if host, err = parsePeer(c.Origin); err != nil {
		return "", 0, err
	}
	for _, l := range c.Links {
		if err := p2p.Verify(host, linkText(id, l.Seq, l.To), l.Sign); err != nil {
			return "", 0, fmt.Errorf("%w: claim: %w", ErrContinuation, err)
		}
		if host, err = parsePeer(l.To); err != nil {
			return "", 0, err
		}
		seq = l.Seq
	}
	return host, seq, nil
}

// parsePeer returns the peer whose ID is written as it has to be: each peer is
// written in one way.
func parsePeer(text string) (p2p.ID, error) {
	id, err := p2p.ParseID(text)
	if err != nil {
		return "", fmt.Errorf("%w: claim: %w", ErrContinuation, err)
	}
	if id.String() != text {
		return "", fmt.Errorf("%w: claim: peer %s is written as %q", ErrContinuation, id, text)
	}
	return id, nil
}

// seq returns how many transfers a valid claim tells of.
func (c *Claim) seq() uint64 {
	if len(c.Links) == 0 {
		return 0
	}
	return c.Links[len(c.Links)-1].Seq
}

// namedHolder returns the peer that a claim names, in text. It is the holder if the
// claim is valid.
func (c *Claim) namedHolder() string {
	if len(c.Links) == 0 {
		return c.Origin
	}
	return c.Links[len(c.Links)-1].To
}

// supersedes reports whether a valid claim proves that the holder of an older
// one of the same tasklet has given the tasklet away since: because the holder
// itself, or the peer that started the tasklet, signed a later transfer. A former
// host that makes up transfers of its own proves nothing about later holders.
func (c *Claim) supersedes(older *Claim, holder p2p.ID) bool {
	seq, from := older.seq(), c.Origin
	for n, l := range c.Links {
		if l.Seq > seq && (n == 0 || from == holder.String()) {
			return true
		}
		from = l.To
	}
	return false
}

// extends checks that the claim gives to the peer to what the other claim, which
// is valid, says that the peer from has.
func (c *Claim) extends(before *Claim, id ID, from, to p2p.ID) error {
	links := before.Links
	if before.Origin == from.String() {
		links = nil // a link of the origin replaces all links before it
	}
	switch holder, seq, err := c.holder(id); {
	case err != nil:
		return err
	case holder != to || seq != before.seq()+1 || len(c.Links) != len(links)+1 || !slices.EqualFunc(links, c.Links[:len(links)], Link.equal):
		return fmt.Errorf("%w: claim does not continue the one that was offered", ErrContinuation)
	}
	return nil
}

// equal reports whether the claims are the same.
func (c *Claim) equal(other *Claim) bool {
	return c.Origin == other.Origin && c.Nonce == other.Nonce && slices.EqualFunc(c.Links, other.Links, Link.equal)
}

func (l Link) equal(other Link) bool {
	return l.Seq == other.Seq && l.To == other.To && bytes.Equal(l.Sign, other.Sign)
}

// linkText is what is signed.
func linkText(id ID, seq uint64, to string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte(linkDomain+string(id)), seq), to...)
}

// extendClaim adds the transfer from this peer to another one. A link of the origin
// replaces all links before it.
func (h *Host) extendClaim(id ID, c *Claim, to p2p.ID) (*Claim, error) {
	host, seq, err := c.holder(id)
	if err != nil {
		return nil, err
	}
	if host != h.node.ID() {
		return nil, fmt.Errorf("%w: the claim on tasklet %s names peer %s", ErrRefused, id, host)
	}
	next := &Claim{Origin: c.Origin, Nonce: c.Nonce}
	if c.Origin != host.String() {
		next.Links = append(next.Links, c.Links...)
	}
	if len(next.Links) == maxLinks {
		return nil, fmt.Errorf("%w: tasklet %s has moved %d times since peer %s last confirmed where it is", ErrRefused, id, maxLinks, c.Origin)
	}
	link, err := h.signTransfer(id, seq+1, to)
	if err != nil {
		return nil, err
	}
	next.Links = append(next.Links, link)
	return next, nil
}

// signTransfer signs a transfer.
func (h *Host) signTransfer(id ID, seq uint64, to p2p.ID) (Link, error) {
	sign, err := h.node.Sign(linkText(id, seq, to.String()))
	return Link{Seq: seq, To: to.String(), Sign: sign}, err
}

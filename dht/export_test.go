package dht

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/p2p/quota"
)

// What the tests see of the announcements.

const (
	AnnouncingMax      = announcingMax
	FirstRetryInterval = firstRetryInterval
	RetryIntervalMax   = retryIntervalMax
)

// An Announcer makes announcements by calling a function, to whom the test says
// it is.
type Announcer struct{ n *announcer }

func NewAnnouncer(interval time.Duration, provide func(ctx context.Context, key Key, others bool) error) *Announcer {
	return &Announcer{newAnnouncer(newTable(), interval, provide)}
}

func (a *Announcer) Run(ctx context.Context) { a.n.run(ctx) }
func (a *Announcer) Join(id p2p.ID)          { a.n.table.add(id) }
func (a *Announcer) Leave(id p2p.ID)         { a.n.table.remove(id) }

func (a *Announcer) Announce(key Key) (stop func()) {
	x := a.n.add(key)
	return func() { a.n.remove(x) }
}

// Load counts the announcements that wait and those under way.
func (a *Announcer) Load() (waiting, underWay int) {
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	return len(a.n.waiting), len(a.n.underWay)
}

// PeersOfKeyMax is how many peers are kept under one key.
const PeersOfKeyMax = peersOfKeyMax

// NewSmallProviders is NewProviders with fewer records of all peers and of one.
func NewSmallProviders(all, ofPeer int) datastore.Batching {
	p := newProviders(testHolder)
	p.max, p.maxOfPeer = all, ofPeer
	return p
}

// Records counts the records that d, made by NewProviders, says it keeps, and
// those that it keeps.
func Records(d datastore.Batching) (said, kept int) {
	p := d.(*providers)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.byKey {
		kept += len(e.list)
	}
	for _, s := range p.sources {
		said += s.records
	}
	if said != p.all {
		return -1, kept
	}
	return said, kept
}

// NewProviders returns where a DHT keeps the records of others.
func NewProviders() datastore.Batching { return newProviders(testHolder) }

// testHolder has a peer that is called name@address be there, and one that is
// called known... be known.
func testHolder(peer string) quota.Holder {
	_, addr, _ := strings.Cut(peer, "@")
	h := quota.Holder{Peer: peer, Known: strings.HasPrefix(peer, "known")}
	h.Addr, _ = netip.ParseAddr(addr)
	return h
}

// What the tests see of claims.
const (
	ClaimLifetime    = claimLifetime
	ClaimLifetimeMax = claimLifetimeMax
	ClaimMaxBytes    = claimMaxBytes
	NameProtocol     = nameProtocol
	AskedPeersMax    = askedPeersMax
)

// NewClaim returns a claim as it travels.
func NewClaim(node *p2p.Node, name Name, now time.Time) ([]byte, error) {
	c, err := newClaim(node, name, now)
	if err != nil {
		return nil, err
	}
	return c.bytes(), nil
}

// CheckClaim reads a claim and returns its name if it is that peer's.
func CheckClaim(b []byte, of p2p.ID, now time.Time) (Name, error) {
	c, err := parseClaim(b)
	if err != nil {
		return "", err
	}
	return c.name, c.verify(of, now)
}

// ReformClaim reads a claim and writes it again.
func ReformClaim(b []byte) ([]byte, error) {
	c, err := parseClaim(b)
	if err != nil {
		return nil, err
	}
	return c.bytes(), nil
}

// NameKey returns what peers with the name are announced under.
func NameKey(name Name) Key { return name.key() }

// What the tests see of withdrawals.
const (
	WithdrawProtocol = withdrawProtocol
	WithdrawMax      = withdrawMax
)

// WithoutEnded returns an answer without the providers that have ended.
func WithoutEnded(answer []byte, ended func(p2p.ID) bool) ([]byte, error) {
	return withoutEnded(answer, ended)
}

// NewAnswers returns a writer of answers to s, without the peers that have ended.
func NewAnswers(s network.Stream, ended ...p2p.ID) io.Writer {
	w := newWithdrawals(time.Minute)
	for _, id := range ended {
		w.add(id)
	}
	return &answerStream{Stream: s, withdrawals: w}
}

// Remembered returns how many of these peers are remembered as ended.
func Remembered(ids ...p2p.ID) (n int) {
	w := newWithdrawals(time.Minute)
	for _, id := range ids {
		w.add(id)
	}
	return len(w.ended)
}

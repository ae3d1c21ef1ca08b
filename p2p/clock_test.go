package p2p_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"

	"github.com/dstackless/dstackless/internal/testhook"
	"github.com/dstackless/dstackless/p2p"
)

// clocked starts a node whose clock is ahead of this machine's.
func clocked(t *testing.T, ahead time.Duration) (*p2p.Node, *journal) {
	log := new(journal)
	wall := func() time.Time { return time.Now().Add(ahead) }
	return startWith(t, p2p.Options{Listen: loopback, Logger: slog.New(slog.NewTextHandler(log, nil)), TestHooks: &testhook.Hooks{Wall: wall}}), log
}

const (
	differ = "the clocks of this machine and of a peer differ"
	isOff  = "the clock of this machine is off"
)

// Two peers whose clocks differ both say so, and by how much.
func TestClocksDiffer(t *testing.T) {
	for _, ahead := range []time.Duration{45 * time.Minute, -45 * time.Minute, 10 * time.Hour, -10 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			a, logA := clocked(t, 0)
			b, logB := clocked(t, ahead)
			connect(t, b, a)
			logA.await(t, differ)
			logB.await(t, differ)
			for of, want := range map[*p2p.Node]time.Duration{a: ahead, b: -ahead} {
				peers := of.Peers()
				if len(peers) != 1 || (peers[0].ClockAhead-want).Abs() > 15*time.Second {
					t.Errorf("%+v, want a clock %v ahead", peers, want)
				}
			}
		})
	}
}

// Clocks that are right, and one that lies, make nobody doubt its own.
func TestClockOfLiar(t *testing.T) {
	n, log := clocked(t, 0)
	liar, _ := clocked(t, 10*time.Hour)
	connect(t, n, liar)
	log.await(t, differ)
	for range 3 {
		right, _ := clocked(t, 0)
		connect(t, n, right)
	}
	n.AwaitClocks(t, 4)
	if log.count(differ) != 1 || log.count(isOff) != 0 {
		t.Errorf("the log says that clocks differ %d times, and that this one is off %d times; want 1 and 0", log.count(differ), log.count(isOff))
	}
}

// A peer that differs from most of those that it connects to is told so, once.
func TestClockThatIsOff(t *testing.T) {
	n, log := clocked(t, 45*time.Minute)
	for range 5 {
		right, logRight := clocked(t, 0)
		connect(t, n, right)
		logRight.await(t, differ)
	}
	log.await(t, isOff)
	n.AwaitClocks(t, 5)
	if log.count(isOff) != 1 || log.count(differ) > 2 {
		t.Errorf("the log says that clocks differ %d times, and that this one is off %d times; want 2 at most, and 1", log.count(differ), log.count(isOff))
	}
}

// Strangers that connect with wrong clocks neither make a peer doubt its own nor
// fill its log.
func TestClocksOfStrangers(t *testing.T) {
	n, log := clocked(t, 0)
	for range 5 {
		stranger, logStranger := clocked(t, 45*time.Minute)
		connect(t, stranger, n)
		logStranger.await(t, differ)
	}
	n.AwaitClocks(t, 5)
	if log.count(differ) != 1 || log.count(isOff) != 0 {
		t.Errorf("the log says that clocks differ %d times, and that this one is off %d times; want 1 and 0", log.count(differ), log.count(isOff))
	}
}

// Whatever a peer says that the time is, the difference has a text.
func FuzzClock(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0x9a, 0, 0, 0, 0})
	f.Add(bytes.Repeat([]byte{0xff}, 8))
	f.Add([]byte{0x80, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := p2p.ClockText(b)
		if (err != nil) != (len(b) < 8) {
			t.Errorf("%x: %v", b, err)
		}
		if err == nil && !strings.HasSuffix(text, " ahead") && !strings.HasSuffix(text, " behind") || strings.Contains(text, "-") {
			t.Errorf("%x: %q", b, text)
		}
	})
}

// A tlsPeer is a peer that does nothing but a handshake. It returns the address.
func tlsPeer(t *testing.T, notBefore time.Time, refuse error) string {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := libp2ptls.NewIdentity(key, libp2ptls.WithCertTemplate(&x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: notBefore, NotAfter: notBefore.Add(24 * time.Hour),
	}))
	if err != nil {
		t.Fatal(err)
	}
	config, _ := id.ConfigForPeer("")
	if refuse != nil {
		config.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return refuse }
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mux := multistream.NewMultistreamMuxer[string]()
			mux.AddHandler(libp2ptls.ID, nil)
			if _, _, err := mux.Negotiate(c); err == nil {
				tls.Server(c, config).Handshake()
			}
			c.Close()
		}
	}()
	addr, err := manet.FromNetAddr(l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	of, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return addr.Encapsulate(ma.StringCast("/p2p/" + of.String())).String()
}

// When a certificate is refused for its time, the error speaks of clocks.
func TestCertificateOutOfTime(t *testing.T) {
	n := start(t, loopback[1])
	for what, c := range map[string]struct {
		addr, want string
	}{
		"not yet valid": {tlsPeer(t, time.Now().Add(9*time.Hour), nil), "its certificate is not valid yet, or not any more"},
		"expired":       {tlsPeer(t, time.Now().Add(-48*time.Hour), nil), "its certificate is not valid yet, or not any more"},
		"refused": {tlsPeer(t, time.Now().Add(-time.Hour), x509.CertificateInvalidError{Reason: x509.Expired}),
			"it does not accept the certificate of this peer"},
	} {
		_, err := n.Connect(within(t), c.addr)
		if !errors.Is(err, p2p.ErrUnreachable) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "when the clocks of the two differ") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

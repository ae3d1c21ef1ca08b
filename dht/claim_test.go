package dht_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

func TestParseName(t *testing.T) {
	for _, good := range []string{"a", "alice", "build-7", "x" + strings.Repeat("9", dht.MaxName-1), "a--"} {
		if name, err := dht.ParseName(good); err != nil || string(name) != good {
			t.Errorf("%q: %q, %v", good, name, err)
		}
	}
	for _, bad := range []string{
		"", "7up", "-a", "Alice", "al ice", "alice\n", "älice", "a_b", "a.b", "a\x00", "12D3KooW",
		strings.Repeat("a", dht.MaxName+1),
	} {
		if name, err := dht.ParseName(bad); err == nil {
			t.Errorf("%q is taken for the name %q", bad, name)
		}
	}
}

func lone(t testing.TB) *p2p.Node {
	t.Helper()
	n, err := p2p.Start(&p2p.Options{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// A claim that is changed in any way, another's, or out of its time is none.
func TestForgedClaims(t *testing.T) {
	alice, mallory := lone(t), lone(t)
	now := time.Now()
	good, err := dht.NewClaim(alice, "alice", now)
	if err != nil {
		t.Fatal(err)
	}
	if name, err := dht.CheckClaim(good, alice.ID(), now); name != "alice" || err != nil {
		t.Fatalf("%q, %v", name, err)
	}
	if _, err := dht.CheckClaim(good, mallory.ID(), now); err == nil {
		t.Error("alice's claim is taken for mallory's")
	}
	for i := range good {
		for _, bit := range []byte{1, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= bit
			if name, err := dht.CheckClaim(bad, alice.ID(), now); err == nil {
				t.Errorf("byte %d changed: a claim to %q", i, name)
			}
		}
		if name, err := dht.CheckClaim(good[:i], alice.ID(), now); err == nil {
			t.Errorf("cut to %d bytes: a claim to %q", i, name)
		}
	}
	for _, after := range []time.Duration{dht.ClaimLifetime + time.Second, -dht.ClaimLifetimeMax} {
		if name, err := dht.CheckClaim(good, alice.ID(), now.Add(after)); err == nil {
			t.Errorf("%v after it was made: a claim to %q", after, name)
		}
	}
	if _, err := dht.CheckClaim(append(bytes.Clone(good), make([]byte, dht.ClaimMaxBytes)...), alice.ID(), now); err == nil {
		t.Error("an oversized claim is taken")
	}
	// The key signs other things, too.
	text, start := "\x00\x00\x00\x00\x7f\xff\xff\xff\x05alice", []byte("/dstackless/tasklet/link/1\x00")
	sign, err := alice.Sign(append(start, text...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dht.CheckClaim(append([]byte(text), sign...), alice.ID(), time.Unix(0x7fffffff-60, 0)); err == nil {
		t.Error("what was signed for another purpose is taken for a claim")
	}
}

func FuzzClaim(f *testing.F) {
	node, now := lone(f), time.Now()
	for _, name := range []dht.Name{"a", "alice", dht.Name(strings.Repeat("z", dht.MaxName))} {
		b, err := dht.NewClaim(node, name, now)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(append(b, make([]byte, dht.ClaimMaxBytes)...))
	}
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\xffalice"))
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := dht.ReformClaim(b)
		if err != nil {
			return
		}
		if !bytes.Equal(b, again) {
			t.Errorf("%q has another form, %q", b, again)
		}
		if len(b) > dht.ClaimMaxBytes {
			t.Errorf("a claim has %d bytes", len(b))
		}
	})
}

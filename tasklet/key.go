package tasklet

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"github.com/dstackless/dstackless/p2p"
)

// A Key is the right to do everything with a tasklet. It is made when the
// tasklet starts and goes along with it, so that each of its hosts can tell who
// has it. It prints as a word that says nothing.
//
// A key is never sent to show that one has it. Who asks for something sends a
// proof in its place, which is good at the peer that is asked and of the peer
// that asks, whom the connection has shown to each other: one who only says that
// it hosts the tasklet learns nothing that is of use to it.
type Key [32]byte

func newKey() (k Key) {
	rand.Read(k[:])
	return k
}

// Format keeps a key out of logs.
func (Key) Format(s fmt.State, _ rune) { io.WriteString(s, "(key)") }

const proofDomain = "/dstackless/tasklet/proof/1\x00"

// proof shows the peer at that the peer from has the key of the tasklet.
func (k *Key) proof(id ID, from, at p2p.ID) []byte {
	m := hmac.New(sha256.New, k[:])
	for _, part := range []string{proofDomain, string(id), "\x00", from.String(), "\x00", at.String()} {
		io.WriteString(m, part)
	}
	return m.Sum(nil)
}

// errNoKey is said of a tasklet that was started by a peer of an older version.
var errNoKey = errors.New("it was started by an older version of its peer, and has no key")

// is reports whether the other is the same key, and one at all.
func (k *Key) is(other *Key) bool {
	return *k != Key{} && subtle.ConstantTimeCompare(k[:], other[:]) == 1
}

// proves reports whether a proof is that of the key. A tasklet without a key has
// none.
func (k *Key) proves(proof []byte, id ID, from, at p2p.ID) bool {
	return *k != Key{} && hmac.Equal(proof, k.proof(id, from, at))
}

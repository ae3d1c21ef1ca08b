package network

import (
	"crypto/hmac"
	"crypto/sha256"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
)

type hash [sha256.Size]byte

// secretOf derives from a name what proves knowledge of it. It never leaves
// the peer.
func secretOf(name channel.Name) hash {
	return sha256.Sum256([]byte("dstackless channel secret\x00" + string(name)))
}

// keyOf derives from a name the key under which the channel is known to those
// who do not know the name.
func keyOf(name channel.Name) hash {
	secret := secretOf(name)
	return sha256.Sum256(append([]byte("dstackless channel key\x00"), secret[:]...))
}

// nameProof is what peer from tells peer to, to prove that it knows the name. Both
// ends of a session are authenticated, so a proof is of no use to anyone else.
func nameProof(secret hash, from, to p2p.ID) hash {
	mac := hmac.New(sha256.New, secret[:])
	mac.Write([]byte(from))
	mac.Write([]byte{0})
	mac.Write([]byte(to))
	return hash(mac.Sum(nil))
}

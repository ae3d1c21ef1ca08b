package network

import (
	"bytes"
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

// prove is what peer from tells peer to, to prove that it knows the name. Both
// ends of a session are authenticated, so a proof is of no use to anyone else.
func prove(secret hash, from, to p2p.ID) hash {
	mac := hmac.New(sha256.New, secret[:])
	mac.Write([]byte(from))
	mac.Write([]byte{0})
	mac.Write([]byte(to))
	return hash(mac.Sum(nil))
}

// maxGeneration is the highest generation of a claim that is believed: 2³².
const maxGeneration = 1 << 32

// A claim says who is a channel's home. The zero claim says: nobody known.
//
// Claims are ordered, and a peer only ever changes to a better one. So peers
// that meet agree, and redirections end.
type claim struct {
	generation uint64
	home       p2p.ID
}

// better reports whether c wins over d: by its higher generation, else by the
// home whose ID is closer to the channel's key in the XOR metric of Kademlia
// (Maymounkov and Mazières, 2002).
func (c claim) better(d claim, key hash) bool {
	if c.generation != d.generation {
		return c.generation > d.generation
	}
	cd, dd := distance(c.home, key), distance(d.home, key)
	return bytes.Compare(cd[:], dd[:]) < 0
}

func distance(id p2p.ID, key hash) hash {
	d := hash(sha256.Sum256([]byte(id)))
	for i := range d {
		d[i] ^= key[i]
	}
	return d
}

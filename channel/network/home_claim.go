package network

import (
	"bytes"
	"crypto/sha256"

	"github.com/dstackless/dstackless/p2p"
)

// maxTerm is the highest term of a claim that is believed: 2³².
const maxTerm = 1 << 32

// A claim says who is a channel's home. The zero claim says: nobody known.
//
// Claims are ordered, and a peer only ever changes to a better one. So peers
// that meet agree, and redirections end.
type claim struct {
	term uint64
	home p2p.ID
}

// better reports whether c wins over d: by its higher term, else by the
// home whose ID is closer to the channel's key in the XOR metric of Kademlia
// (Maymounkov and Mazières, 2002).
func (c claim) better(d claim, key hash) bool {
	if c.term != d.term {
		return c.term > d.term
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

package dht

import (
	"crypto/sha256"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

// Key is what the table is asked for: a CID, either of some content or made of
// a name by [KeyOf].
type Key = cid.Cid

// nameDomain keeps the key of a name apart from the CID of content that happens
// to have the same bytes.
const nameDomain = "/dstackless/name/1\x00"

// KeyOf returns the key of a name: the CIDv1 (raw) of the SHA-256 of a fixed
// prefix and the name. The name can't be read from it, but who guesses a name
// can tell that the guess is right: a secret name must be long and random.
func KeyOf[N ~string | ~[]byte](name N) Key {
	sum := sha256.Sum256(append([]byte(nameDomain), name...))
	mh, err := multihash.Encode(sum[:], multihash.SHA2_256)
	if err != nil {
		panic(err) // SHA2_256 is a known code
	}
	return cid.NewCidV1(cid.Raw, mh)
}

package content_test

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

func TestKnownCIDs(t *testing.T) {
	m := start(t, "")
	for data, want := range map[string]string{
		"":            "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
		"hello world": "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
	} {
		if got := add(t, m, []byte(data)).String(); got != want {
			t.Errorf("CID of %q is %s, want %s", data, got, want)
		}
	}
}

func TestCIDsFollowTheSpecification(t *testing.T) {
	m := start(t, "")
	const chunk = 256 << 10
	for name, size := range map[string]int{
		"one chunk":          chunk,
		"and one byte":       chunk + 1,
		"3 MB":               3_000_000,
		"174 chunks":         174 * chunk,
		"a third level":      174*chunk + 1,
		"and 2 full parents": 2 * 174 * chunk,
	} {
		t.Run(name, func(t *testing.T) {
			data := random(size, 8)
			if got, want := add(t, m, data), fileCID(data); got != want {
				t.Errorf("CID of %d bytes is %s, want %s", size, got, want)
			}
		})
	}
}

// A ref is a link to a block: its CID, the bytes of the file below it, and the
// bytes of all blocks below it.
type ref struct {
	cid         cid.Cid
	file, total uint64
}

// fileCID computes the CID of a file by hand, after the UnixFS and DAG-PB
// specifications (specs.ipfs.tech/unixfs, ipld.io/specs/codecs/dag-pb).
func fileCID(data []byte) cid.Cid {
	const chunk, links = 256 << 10, 174
	var level []ref
	for len(data) > 0 {
		n := min(len(data), chunk)
		level = append(level, ref{sum(cid.Raw, data[:n]), uint64(n), uint64(n)})
		data = data[n:]
	}
	for len(level) > 1 {
		var parents []ref
		for len(level) > 0 {
			n := min(len(level), links)
			parents = append(parents, parent(level[:n]))
			level = level[n:]
		}
		level = parents
	}
	return level[0].cid
}

func parent(children []ref) ref {
	var links []byte
	out := ref{}
	for _, c := range children {
		link := field(nil, 1, c.cid.Bytes()) // Hash
		link = field(link, 2, nil)           // Name, present and empty
		link = number(link, 3, c.total)      // Tsize
		links = field(links, 2, link)        // before Data, which has number 1
		out.file += c.file
		out.total += c.total
	}
	file := number(nil, 1, 2) // Type: File
	file = number(file, 3, out.file)
	for _, c := range children {
		file = number(file, 4, c.file) // blocksizes
	}
	block := field(links, 1, file)
	out.cid = sum(cid.DagProtobuf, block)
	out.total += uint64(len(block))
	return out
}

func sum(codec uint64, data []byte) cid.Cid {
	hash := sha256.Sum256(data)
	mh, err := multihash.Encode(hash[:], multihash.SHA2_256)
	if err != nil {
		panic(err)
	}
	return cid.NewCidV1(codec, mh)
}

// field appends a length-delimited protobuf field.
func field(to []byte, id uint64, data []byte) []byte {
	to = binary.AppendUvarint(to, id<<3|2)
	to = binary.AppendUvarint(to, uint64(len(data)))
	return append(to, data...)
}

// number appends a varint protobuf field.
func number(to []byte, id, value uint64) []byte {
	to = binary.AppendUvarint(to, id<<3)
	return binary.AppendUvarint(to, value)
}

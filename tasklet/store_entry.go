package tasklet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/tasklet/journal"
)

// entryVersion is the version of the entries that this package writes, and the
// only one that it reads.
const entryVersion = 2

// entryHead is the version of an entry, one byte, and a checksum of what follows,
// four bytes: CRC-32C, little endian.
const entryHead = 1 + crc32.Size

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// An entry is one of the journal's. Whoever writes one calls validate, as does
// who reads it: so nothing is written that cannot be read.
type entry interface {
	validate(key string) error
}

// encodeEntry makes an entry of the journal.
func encodeEntry(key string, e entry) ([]byte, error) {
	if err := e.validate(key); err != nil {
		return nil, err
	}
	body, err := codec.Marshal(e, 2*maxState)
	if err != nil {
		return nil, err
	}
	head := binary.LittleEndian.AppendUint32([]byte{entryVersion}, crc32.Checksum(body, castagnoli))
	return append(head, body...), nil
}

// decodeEntry is the inverse of encodeEntry. Its errors wrap
// [journal.ErrDamaged].
func decodeEntry(key string, data []byte, e entry) error {
	if err := parseEntry(data, e); err != nil {
		return fmt.Errorf("%w: %w", journal.ErrDamaged, err)
	}
	if err := e.validate(key); err != nil {
		return fmt.Errorf("%w: %w", journal.ErrDamaged, err)
	}
	return nil
}

func parseEntry(data []byte, e entry) error {
	if len(data) < entryHead || data[0] != entryVersion {
		return fmt.Errorf("it is not of version %d", entryVersion)
	}
	body := data[entryHead:]
	if binary.LittleEndian.Uint32(data[1:]) != crc32.Checksum(body, castagnoli) {
		return errors.New("its checksum is wrong")
	}
	return codec.Unmarshal(body, e)
}

// put makes or replaces an entry.
func put(tx *journal.Tx, table journal.Table, key string, e entry) error {
	data, err := encodeEntry(key, e)
	if err != nil {
		return fmt.Errorf("entry %s %s: %w", table, key, err)
	}
	return tx.Put(table, key, data)
}

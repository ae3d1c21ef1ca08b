package abi

import (
	"encoding/binary"
	"time"
)

// Module is the import module of the functions below.
const Module = "dstackless"

// The functions of Module.
const (
	Submit = "submit"
	Take   = "take"
)

// Descriptor is the file descriptor that is readable while there are replies.
const Descriptor = 1 << 20

// TickInterval is how often a busy program looks for replies.
const TickInterval = 10 * time.Millisecond

// Idle is what take returns when the program's ticker is to stop.
const Idle = 1<<32 - 1

// Tick is the id of a record that is no reply but starts the ticker.
const Tick = 0

// Error numbers of submit; they are WASI's.
const (
	OK       = 0  // accepted
	Fault    = 21 // the payload is not in memory
	Invalid  = 28 // the id is 0 or in use
	NoBuffer = 42 // too many requests are without reply, or too large
	NoCalls  = 52 // this host takes no requests
)

// RecordHead is the length of a record without its payload.
const RecordHead = 12

// AppendRecord appends a record to b.
func AppendRecord(b []byte, id uint64, payload []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, id)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	return append(b, payload...)
}

// CutRecord cuts the first record off a stream. It reports false if b does not
// hold the whole of it yet. The payload is a part of b.
func CutRecord(b []byte) (id uint64, payload, rest []byte, ok bool) {
	if len(b) < RecordHead {
		return 0, nil, b, false
	}
	id = binary.LittleEndian.Uint64(b)
	n := uint64(binary.LittleEndian.Uint32(b[8:]))
	if n > uint64(len(b)-RecordHead) {
		return 0, nil, b, false
	}
	return id, b[RecordHead : RecordHead+n : RecordHead+n], b[RecordHead+n:], true
}

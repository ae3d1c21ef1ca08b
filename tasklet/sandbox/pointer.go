package sandbox

import "encoding/binary"

// slice returns n bytes of the guest's memory at an address that the guest
// named, or false if it has no such memory.
func (m *memory) slice(addr, n uint32) ([]byte, bool) {
	if uint64(addr)+uint64(n) > m.size {
		return nil, false
	}
	return m.space[addr : uint64(addr)+uint64(n) : uint64(addr)+uint64(n)], true
}

// u32 reads a number from the guest's memory.
func (m *memory) u32(addr uint32) (uint32, bool) {
	b, ok := m.slice(addr, 4)
	if !ok {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b), true
}

// putU32 writes a number into the guest's memory and returns an error number.
func (m *memory) putU32(addr, v uint32) uint32 {
	b, ok := m.slice(addr, 4)
	if !ok {
		return errnoFault
	}
	binary.LittleEndian.PutUint32(b, v)
	return errnoSuccess
}

// putU64 writes a number into the guest's memory and returns an error number.
func (m *memory) putU64(addr uint32, v uint64) uint32 {
	b, ok := m.slice(addr, 8)
	if !ok {
		return errnoFault
	}
	binary.LittleEndian.PutUint64(b, v)
	return errnoSuccess
}

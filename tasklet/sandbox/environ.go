package sandbox

import "strconv"

// A program's runtime is told to leave a part of its memory free, beyond what the
// program starts with: a 16th, because the runtime's limit is a soft one and there
// are holes that it cannot use, and 4 MiB, by which it makes its heap larger.
const (
	slackPart = 16
	heapStep  = 4 << 20
)

// environ returns the environment of a program that may have limit bytes of
// memory, and starts with an image. There is one variable in it, which tells the
// Go runtime, when it starts, how much memory the program may have, so that it
// collects garbage in time.
func environ(limit uint64, image []byte) []string {
	room := limit - min(limit, uint64(len(image)))
	room -= min(room/2, room/slackPart+heapStep)
	return []string{"GOMEMLIMIT=" + strconv.FormatUint(room, 10)}
}

// putSizes tells the guest how many strings there are, and how many bytes
// putStrings needs for them. It returns an error number.
func (i *Instance) putSizes(count, bytes uint32, all []string) uint32 {
	size := 0
	for _, s := range all {
		size += len(s) + 1
	}
	return i.mem.putU32(count, uint32(len(all))) | i.mem.putU32(bytes, uint32(size))
}

// putStrings writes strings, each with a zero behind it, and their addresses into
// the guest's memory. It returns an error number.
func (i *Instance) putStrings(addresses, bytes uint32, all []string) uint32 {
	for n, s := range all {
		p, ok := i.mem.slice(bytes, uint32(len(s)+1))
		if !ok || i.mem.putU32(addresses+uint32(4*n), bytes) != errnoSuccess {
			return errnoFault
		}
		copy(p, s)
		p[len(s)] = 0
		bytes += uint32(len(s) + 1)
	}
	return errnoSuccess
}

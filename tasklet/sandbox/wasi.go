package sandbox

import (
	"crypto/rand"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/dstackless/dstackless/tasklet/abi"
)

// WASI preview 1, as far as Go programs import it, without any state: a guest
// has the descriptors 0 to 2 and that of its replies, and no files. See
// https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md.
const wasiModule = "wasi_snapshot_preview1"

// Error numbers of WASI.
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoFault   = 21
	errnoInval   = 28
	errnoNobufs  = 42
	errnoNoent   = 44
	errnoNosys   = 52
	errnoNotdir  = 54
	errnoNotsock = 57
	errnoNotsup  = 58
	errnoSpipe   = 70
)

const (
	filetypeCharacterDevice = 2
	flagNonblock            = 4
	maxIovecs               = 1024
	maxWrite                = 1 << 20 // of one call; the guest calls again for the rest
	maxRandom               = 1 << 20 // until the host looks whether the guest is to end
)

var wasi = map[string]hostFunc{
	"args_sizes_get": {params: params("ii"), call: func(i *Instance, a []uint64) uint32 {
		return i.putSizes(uint32(a[0]), uint32(a[1]), i.cfg.Args)
	}},
	"args_get": {params: params("ii"), call: func(i *Instance, a []uint64) uint32 {
		return i.putStrings(uint32(a[0]), uint32(a[1]), i.cfg.Args)
	}},
	"environ_sizes_get": {params: params("ii"), call: func(i *Instance, a []uint64) uint32 {
		return i.putSizes(uint32(a[0]), uint32(a[1]), i.environ)
	}},
	"environ_get": {params: params("ii"), call: func(i *Instance, a []uint64) uint32 {
		return i.putStrings(uint32(a[0]), uint32(a[1]), i.environ)
	}},
	"clock_time_get": {params: params("iIi"), call: func(i *Instance, a []uint64) uint32 {
		switch uint32(a[0]) {
		case 0:
			return i.mem.putU64(uint32(a[2]), uint64(i.cfg.Wall().UnixNano()))
		case 1:
			return i.mem.putU64(uint32(a[2]), uint64(i.clock.mono()))
		}
		return errnoInval
	}},
	"clock_res_get": {params: params("ii"), call: func(i *Instance, a []uint64) uint32 {
		if uint32(a[0]) > 1 {
			return errnoInval
		}
		return i.mem.putU64(uint32(a[1]), 1)
	}},
	"random_get": {params: params("ii"), call: func(i *Instance, a []uint64) uint32 {
		p, ok := i.mem.slice(uint32(a[0]), uint32(a[1]))
		if !ok {
			return errnoFault
		}
		for len(p) > maxRandom {
			rand.Read(p[:maxRandom])
			p = p[maxRandom:]
			i.look()
		}
		rand.Read(p)
		return errnoSuccess
	}},
	"proc_exit": {params: params("i"), void: true, call: func(_ *Instance, a []uint64) uint32 {
		panic(sys.NewExitError(uint32(a[0])))
	}},
	"sched_yield": {call: succeed},
	"poll_oneoff": {params: params("iiii"), waits: true, call: func(i *Instance, a []uint64) uint32 {
		return i.poll(uint32(a[0]), uint32(a[1]), uint32(a[2]), uint32(a[3]))
	}},

	"fd_write": {params: params("iiii"), call: func(i *Instance, a []uint64) uint32 {
		return i.write(uint32(a[0]), uint32(a[1]), uint32(a[2]), uint32(a[3]))
	}},
	"fd_read": {params: params("iiii"), call: func(i *Instance, a []uint64) uint32 {
		return i.fdRead(uint32(a[0]), uint32(a[3]))
	}},
	"fd_fdstat_get": {params: params("ii"), call: func(i *Instance, a []uint64) uint32 {
		if !isOpen(uint32(a[0])) {
			return errnoBadf
		}
		p, ok := i.mem.slice(uint32(a[1]), 24)
		if !ok {
			return errnoFault
		}
		clear(p)
		p[0] = filetypeCharacterDevice
		if uint32(a[0]) == abi.Descriptor {
			p[2] = flagNonblock
		}
		return errnoSuccess
	}},
	"fd_filestat_get": {params: params("ii"), call: func(i *Instance, a []uint64) uint32 {
		if !isOpen(uint32(a[0])) {
			return errnoBadf
		}
		p, ok := i.mem.slice(uint32(a[1]), 64)
		if !ok {
			return errnoFault
		}
		clear(p)
		p[16] = filetypeCharacterDevice
		return errnoSuccess
	}},
	"fd_seek": {params: params("iIii"), call: ifOpen(errnoSpipe)},
	"fd_tell": {params: params("ii"), call: ifOpen(errnoSpipe)},

	// Nothing to do on a descriptor that is open, and an error on others.
	"fd_close":            {params: params("i"), call: ifOpen(errnoSuccess)},
	"fd_fdstat_set_flags": {params: params("ii"), call: ifOpen(errnoSuccess)},
	"fd_sync":             {params: params("i"), call: ifOpen(errnoSuccess)},
	"fd_datasync":         {params: params("i"), call: ifOpen(errnoSuccess)},

	// There are no files, and no folder in which a path could begin.
	"fd_prestat_get":          {params: params("ii"), call: badDescriptor},
	"fd_prestat_dir_name":     {params: params("iii"), call: badDescriptor},
	"path_create_directory":   {params: params("iii"), call: noPath(0)},
	"path_filestat_get":       {params: params("iiiii"), call: noPath(0)},
	"path_filestat_set_times": {params: params("iiiiIIi"), call: noPath(0)},
	"path_link":               {params: params("iiiiiii"), call: noPath(0, 4)},
	"path_open":               {params: params("iiiiiIIii"), call: noPath(0)},
	"path_readlink":           {params: params("iiiiii"), call: noPath(0)},
	"path_remove_directory":   {params: params("iii"), call: noPath(0)},
	"path_rename":             {params: params("iiiiii"), call: noPath(0, 3)},
	"path_symlink":            {params: params("iiiii"), call: noPath(2)},
	"path_unlink_file":        {params: params("iii"), call: noPath(0)},

	// What is for files, folders and sockets is not for what is open.
	"fd_advise":             {params: params("iIIi"), call: ifOpen(errnoSpipe)},
	"fd_allocate":           {params: params("iII"), call: ifOpen(errnoSpipe)},
	"fd_fdstat_set_rights":  {params: params("iII"), call: ifOpen(errnoNotsup)},
	"fd_filestat_set_size":  {params: params("iI"), call: ifOpen(errnoInval)},
	"fd_filestat_set_times": {params: params("iIIi"), call: ifOpen(errnoNotsup)},
	"fd_pread":              {params: params("iiiIi"), call: ifOpen(errnoSpipe)},
	"fd_pwrite":             {params: params("iiiIi"), call: ifOpen(errnoSpipe)},
	"fd_readdir":            {params: params("iiiIi"), call: ifOpen(errnoNotdir)},
	"fd_renumber":           {params: params("ii"), call: ifOpen(errnoNotsup)},
	"sock_accept":           {params: params("iii"), call: ifOpen(errnoNotsock)},
	"sock_recv":             {params: params("iiiiii"), call: ifOpen(errnoNotsock)},
	"sock_send":             {params: params("iiiii"), call: ifOpen(errnoNotsock)},
	"sock_shutdown":         {params: params("ii"), call: ifOpen(errnoNotsock)},
}

// params returns a signature's parameters: i is 32 bits, I is 64.
func params(s string) []api.ValueType {
	types := make([]api.ValueType, len(s))
	for n, c := range s {
		types[n] = i32
		if c == 'I' {
			types[n] = i64
		}
	}
	return types
}

func isOpen(fd uint32) bool { return fd <= 2 || fd == abi.Descriptor }

func succeed(*Instance, []uint64) uint32       { return errnoSuccess }
func badDescriptor(*Instance, []uint64) uint32 { return errnoBadf }

// ifOpen returns a function that returns errno for open descriptors.
func ifOpen(errno uint32) func(*Instance, []uint64) uint32 {
	return func(_ *Instance, a []uint64) uint32 {
		if !isOpen(uint32(a[0])) {
			return errnoBadf
		}
		return errno
	}
}

// noPath returns a function that finds no file, relative to descriptors which are
// the arguments at places. A Go program names none if a path is in no folder that
// it was given, and there is no such folder.
func noPath(places ...int) func(*Instance, []uint64) uint32 {
	return func(_ *Instance, a []uint64) uint32 {
		for _, n := range places {
			switch fd := uint32(a[n]); {
			case fd == noDescriptor:
			case isOpen(fd):
				return errnoNotdir
			default:
				return errnoBadf
			}
		}
		return errnoNoent
	}
}

// noDescriptor stands for no descriptor.
const noDescriptor = 1<<32 - 1

// vectors calls f with each of the guest's buffers until f returns false.
func (i *Instance) vectors(iovs, n uint32, f func(p []byte) bool) uint32 {
	if n > maxIovecs {
		return errnoInval
	}
	list, ok := i.mem.slice(iovs, 8*n)
	if !ok {
		return errnoFault
	}
	for ; len(list) > 0; list = list[8:] {
		v := memory{space: list, size: 8}
		addr, _ := v.u32(0)
		size, _ := v.u32(4)
		p, ok := i.mem.slice(addr, size)
		if !ok {
			return errnoFault
		}
		if !f(p) {
			break
		}
	}
	return errnoSuccess
}

// write is fd_write: 1 and 2 go to the instance's output.
func (i *Instance) write(fd, iovs, n, written uint32) uint32 {
	if fd != 1 && fd != 2 {
		return errnoBadf
	}
	total := 0
	errno := i.vectors(iovs, n, func(p []byte) bool {
		p = p[:min(len(p), maxWrite-total)]
		if i.cfg.Output != nil && len(p) > 0 {
			i.cfg.Output(p)
		}
		total += len(p)
		return total < maxWrite
	})
	if errno != errnoSuccess {
		return errno
	}
	return i.mem.putU32(written, uint32(total))
}

// fdRead is fd_read: the standard input is at its end.
func (i *Instance) fdRead(fd, read uint32) uint32 {
	if fd != 0 {
		return errnoBadf
	}
	return i.mem.putU32(read, 0)
}

package sandbox_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/tasklet/abi"
	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// A program that looks for a file is told that there is none, as it expects it.
func TestNoFiles(t *testing.T) {
	var out output
	i := start(t, "files", sandbox.Config{Args: []string{"files"}, Output: out.write})
	if status, err := wait(t, i); status != 0 || err != nil || out.String() != "done\n" {
		t.Errorf("status %d, %v, output:\n%s", status, err, &out)
	}
}

// Error numbers of WASI.
const (
	ok      = 0
	badf    = 8
	inval   = 28
	noent   = 44
	notdir  = 54
	notsock = 57
	notsup  = 58
	spipe   = 70
)

// Answers is what a function answers about a descriptor that a guest has, which
// is neither file, folder nor socket, about one that it does not have, and about
// none: a path that begins in no folder.
type answers struct{ open, closed, none uint32 }

var (
	aboutPath = answers{notdir, badf, noent}
	yes       = answers{ok, badf, badf}
)

// wasiAnswers has all functions of WASI that take a descriptor or a path.
var wasiAnswers = map[string]answers{
	"fd_advise":               {spipe, badf, badf},
	"fd_allocate":             {spipe, badf, badf},
	"fd_close":                yes,
	"fd_datasync":             yes,
	"fd_fdstat_get":           yes,
	"fd_fdstat_set_flags":     yes,
	"fd_fdstat_set_rights":    {notsup, badf, badf},
	"fd_filestat_get":         yes,
	"fd_filestat_set_size":    {inval, badf, badf},
	"fd_filestat_set_times":   {notsup, badf, badf},
	"fd_pread":                {spipe, badf, badf},
	"fd_prestat_dir_name":     {badf, badf, badf}, // no folder was given
	"fd_prestat_get":          {badf, badf, badf},
	"fd_pwrite":               {spipe, badf, badf},
	"fd_read":                 {badf, badf, badf}, // 1 is for output
	"fd_readdir":              {notdir, badf, badf},
	"fd_renumber":             {notsup, badf, badf},
	"fd_seek":                 {spipe, badf, badf},
	"fd_sync":                 yes,
	"fd_tell":                 {spipe, badf, badf},
	"fd_write":                yes,
	"path_create_directory":   aboutPath,
	"path_filestat_get":       aboutPath,
	"path_filestat_set_times": aboutPath,
	"path_link":               aboutPath,
	"path_open":               aboutPath,
	"path_readlink":           aboutPath,
	"path_remove_directory":   aboutPath,
	"path_rename":             aboutPath,
	"path_symlink":            aboutPath,
	"path_unlink_file":        aboutPath,
	"sock_accept":             {notsock, badf, badf},
	"sock_recv":               {notsock, badf, badf},
	"sock_send":               {notsock, badf, badf},
	"sock_shutdown":           {notsock, badf, badf},
}

func TestDescriptors(t *testing.T) {
	v := newVictim(t)
	left := maps.Clone(wasiAnswers)
	for _, imp := range sandbox.HostFuncs() {
		want, listed := left[imp.Name]
		delete(left, imp.Name)
		if about := strings.HasPrefix(imp.Name, "fd_") || strings.HasPrefix(imp.Name, "path_") || strings.HasPrefix(imp.Name, "sock_"); about != listed {
			t.Errorf("%s is listed: %v", imp.Name, listed)
		}
		if !listed {
			continue
		}
		for fd, errno := range map[uint64]uint32{1: want.open, 3: want.closed, abi.Descriptor + 1: want.closed, 1<<32 - 1: want.none} {
			if got := v.call(t, imp, withDescriptor(imp, fd)); got != errno {
				t.Errorf("%s of descriptor %d returned %d, want %d", imp.Name, int32(fd), got, errno)
			}
		}
	}
	if len(left) > 0 {
		t.Errorf("there is no %v", slices.Collect(maps.Keys(left)))
	}
}

// withDescriptor returns arguments for a function, with fd in each place where a
// descriptor belongs.
func withDescriptor(imp program.Import, fd uint64) []uint64 {
	args := []uint64{fd, scratch, 1, scratch, scratch, scratch, scratch, scratch, scratch}
	switch imp.Name {
	case "path_link":
		args[4] = fd
	case "path_rename":
		args[3] = fd
	case "path_symlink":
		args[0], args[2] = scratch, fd
	}
	return args
}

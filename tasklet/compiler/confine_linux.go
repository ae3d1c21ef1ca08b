package compiler

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// separate says that programs can be compiled by processes of their own here.
const separate = true

// executable returns the path of this process's executable, whatever has become of
// the file since.
func executable() (string, error) { return "/proc/self/exe", nil }

// tie has the process killed when this one ends, and not hear the signals that a
// terminal sends to this one.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// confine closes what this process has inherited but its own descriptors, and
// gives it a limit on memory: so many bytes more than it has now.
//
// The limit is on data (RLIMIT_DATA), private memory that can be written to. That
// on address space would count what Go's runtime reserves and does not use.
func confine(memory uint64) error {
	if err := closeInherited(); err != nil {
		return fmt.Errorf("close inherited descriptors: %w", err)
	}
	// If the machine as a whole has too little memory, this is what can be spared.
	os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, data, _ := bytes.Cut(status, []byte("VmData:"))
	fields := bytes.Fields(data)
	if len(fields) == 0 {
		return fmt.Errorf("limit memory: no VmData in /proc/self/status")
	}
	kib, err := strconv.ParseUint(string(fields[0]), 10, 40)
	if err != nil {
		return fmt.Errorf("limit memory: %w", err)
	}
	limit := kib<<10 + memory
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		return fmt.Errorf("limit memory: %w", err)
	}
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

// closeInherited closes all descriptors that came from the process that started
// this one, but those that it meant to give: those that have been opened since are
// closed by an exec.
func closeInherited() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= answerFile {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
	return nil
}

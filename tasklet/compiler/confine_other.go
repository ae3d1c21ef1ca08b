//go:build !linux

package compiler

import (
	"os"
	"os/exec"
	"runtime"
)

// separate says that programs can be compiled by processes of their own here. On
// Windows a process cannot be given descriptors.
const separate = runtime.GOOS != "windows"

func executable() (string, error) { return os.Executable() }

// tie does nothing: the process ends when its pipe does.
func tie(*exec.Cmd) {}

// confine does nothing: no limit of these systems is on the memory that counts.
// Time is limited, and what a module may have is.
func confine(uint64) error { return nil }

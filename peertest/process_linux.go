package peertest

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the process when this one dies. It would end
// by itself too, if it can: its standard input ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

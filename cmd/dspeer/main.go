// Dspeer is a DStackless peer as a program, and the commands that talk to a
// running peer: see "dspeer help".
package main

import (
	"os"

	"github.com/dstackless/dstackless/tasklet"
)

func main() {
	tasklet.RunCompiler()
	os.Exit(execute(os.Args[1:], input{os.Stdin}, &output{file: os.Stdout}, os.Stderr))
}

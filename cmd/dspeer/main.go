// Dspeer is a DStackless peer as a program, and the commands that talk to a
// running peer: see "dspeer help".
package main

import "os"

func main() { os.Exit(execute(os.Args[1:], input{os.Stdin}, &output{file: os.Stdout}, os.Stderr)) }

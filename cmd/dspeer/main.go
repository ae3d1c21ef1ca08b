// Dspeer is a DStackless peer as a program, and the commands that talk to a
// running peer: see "dspeer help".
package main

import "os"

func main() { os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

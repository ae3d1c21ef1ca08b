//go:build !linux

// Command nat needs the network namespaces of Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "nat: this example is made of network namespaces, which only Linux has")
	os.Exit(1)
}

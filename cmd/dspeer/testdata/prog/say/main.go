// Command say prints its arguments after the first, one a line, and exits with
// the first as its status.
package main

import (
	"fmt"
	"os"
	"strconv"
)

func main() {
	status, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, word := range os.Args[2:] {
		fmt.Println(word)
	}
	fmt.Fprintln(os.Stderr, "that is all")
	os.Exit(status)
}

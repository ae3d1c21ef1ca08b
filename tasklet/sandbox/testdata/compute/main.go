// Command compute does work, as often as it is told.
package main

import (
	"os"
	"strconv"

	"github.com/dstackless/dstackless/tasklet/sandbox/testdata/work"
)

func main() {
	n, _ := strconv.Atoi(os.Args[2])
	for range n {
		println(work.All[os.Args[1]]())
	}
}

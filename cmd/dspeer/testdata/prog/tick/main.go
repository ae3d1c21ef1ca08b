// Command tick counts, a number a line, until it is killed.
package main

import (
	"fmt"
	"time"
)

func main() {
	for n := 1; ; n++ {
		fmt.Println("tick", n)
		time.Sleep(20 * time.Millisecond)
	}
}

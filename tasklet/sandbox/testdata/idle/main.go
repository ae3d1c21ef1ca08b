// Command idle waits, in several goroutines, as servers do.
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	done := make(chan bool)
	for n := range 4 {
		go func() {
			for range done {
				fmt.Println(n)
			}
		}()
	}
	fmt.Println("waiting", os.Args[1:])
	time.Sleep(1000 * time.Hour)
}

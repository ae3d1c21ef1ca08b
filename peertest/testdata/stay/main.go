// Program stay stays until it is moved or killed.
package main

import "time"

func main() {
	for {
		time.Sleep(time.Millisecond)
	}
}

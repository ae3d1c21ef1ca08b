// Command program counts, and says where it does, until it has found itself
// somewhere else for a while. It knows nothing of tasklets but how to ask which
// peer it is on.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/dstackless/dstackless/tasklet/guest"
)

func main() {
	log.SetFlags(0)
	var start string
	for i, elsewhere := 0, 0; elsewhere < 5; i++ {
		host, err := guest.Host(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		if start == "" {
			start = host
		}
		if host != start {
			elsewhere++
		}
		fmt.Printf("%d at %s\n", i, host)
		time.Sleep(200 * time.Millisecond)
	}
}

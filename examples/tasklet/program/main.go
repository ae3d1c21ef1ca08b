// Command program counts, and says where it does. It knows nothing of
// tasklets but how to ask which peer it is on.
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
	for i := range 10 {
		host, err := guest.Host(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d at %s\n", i, host)
		time.Sleep(200 * time.Millisecond)
	}
}

package main

import (
	"context"
	"fmt"
	"log"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/guest"
)

var sink [][]byte

// forever computes without end, and without a call.
func forever() {
	fmt.Println("started")
	for i := 0; ; i++ {
		if i == -1 {
			fmt.Println("never")
		}
	}
}

// later waits for a word on the channel of that name, if there is a name.
func later(word channel.Name) {
	fmt.Println("started")
	if word == "" {
		return
	}
	c, err := channel.Open[int](context.Background(), guest.Space(), word)
	if err == nil {
		_, err = c.Receive(context.Background())
	}
	if err != nil {
		log.Fatal(err)
	}
}

// gorge takes memory without end, when it is told to.
func gorge(word channel.Name) {
	later(word)
	for {
		sink = append(sink, make([]byte, 1<<20))
	}
}

// chatter writes without end, when it is told to.
func chatter(word channel.Name) {
	later(word)
	for {
		fmt.Println("and so on")
	}
}

// crash panics, when it is told to.
func crash(word channel.Name) {
	later(word)
	var m map[int]int
	m[1] = 1
}

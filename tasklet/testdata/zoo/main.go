// Command zoo is the animals of the tests.
package main

import (
	"log"
	"os"
	"strconv"

	"github.com/dstackless/dstackless/channel"
)

func main() {
	log.SetFlags(0)
	args := append(os.Args[1:], "", "")
	switch args[0] {
	case "forever":
		forever()
	case "gorge":
		gorge(channel.Name(args[1]))
	case "crash":
		crash(channel.Name(args[1]))
	case "chatter":
		chatter(channel.Name(args[1]))
	case "hoard":
		hoard(mebibytes(args[1]))
	case "keep":
		keep(mebibytes(args[1]))
	case "clock":
		clock(args[1])
	case "elapsed":
		elapsed(args[1])
	case "churn":
		churn(mebibytes(args[1]))
	case "look":
		look()
	case "self":
		self()
	case "tend":
		tend(args[1])
	case "travel":
		travel(args[1])
	default:
		log.Fatalf("no animal %q", args[0])
	}
}

func mebibytes(arg string) int {
	size, err := strconv.Atoi(arg)
	if err != nil {
		log.Fatal(err)
	}
	return size
}

// Command zoo is the animals of the tests.
package main

import (
	"log"
	"os"
	"strconv"
)

func main() {
	log.SetFlags(0)
	args := append(os.Args[1:], "", "")
	switch args[0] {
	case "forever":
		forever()
	case "gorge":
		gorge(args[1])
	case "crash":
		crash(args[1])
	case "chatter":
		chatter(args[1])
	case "hoard":
		size, err := strconv.Atoi(args[1])
		if err != nil {
			log.Fatal(err)
		}
		hoard(size)
	case "clock":
		clock(args[1])
	case "churn":
		size, err := strconv.Atoi(args[1])
		if err != nil {
			log.Fatal(err)
		}
		churn(size)
	case "travel":
		travel(args[1])
	default:
		log.Fatalf("no animal %q", args[0])
	}
}

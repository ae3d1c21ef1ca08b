package main

import (
	"fmt"
	"os"
	"time"
)

// sleep sleeps, and says for how long.
func sleep() {
	d, err := time.ParseDuration(os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Println("asleep")
	began := time.Now()
	time.Sleep(d)
	slept := time.Since(began)
	fmt.Println("slept", slept >= d, slept < 2*d)
}

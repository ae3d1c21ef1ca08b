package main

import (
	"context"
	"fmt"
	"log"
	"time"
)

// clock waits for a timer, and for a deadline in half the time, and tells what
// its clocks say then.
func clock(wait string) {
	d, err := time.ParseDuration(wait)
	if err != nil {
		log.Fatal(err)
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), d/2)
	defer cancel()
	timer := time.NewTimer(d)
	fmt.Println("started")
	<-timer.C
	fmt.Println("timer fired")
	<-ctx.Done()
	fmt.Println("deadline passed")
	fmt.Println("monotonic", time.Since(start).Truncate(time.Hour))
	// Round(0) is by the wall clock, which nobody has moved.
	if wall := time.Now().Round(0).Sub(start.Round(0)); wall > d {
		fmt.Println("wall", wall)
	}
}

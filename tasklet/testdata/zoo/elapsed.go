package main

import (
	"fmt"
	"time"
)

// elapsed says every 20 ms how many milliseconds have passed by the monotonic
// clock, and how many when a timer of d fires.
func elapsed(d string) {
	wait, err := time.ParseDuration(d)
	if err != nil {
		panic(err)
	}
	began := time.Now()
	timer := time.After(wait)
	tick := time.NewTicker(20 * time.Millisecond)
	last := time.Duration(0)
	for {
		select {
		case <-tick.C:
		case <-timer:
			timer = nil
			fmt.Println("fired", time.Since(began).Milliseconds())
		}
		now := time.Since(began)
		if now < last {
			fmt.Println("backwards", last-now)
		}
		last = now
		fmt.Println("elapsed", now.Milliseconds())
	}
}

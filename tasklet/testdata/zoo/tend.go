package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"sync"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/guest"
)

// tend looks after a tasklet whose Ref it gets from the channel name+" ward": it
// does with it what it is told on name+" orders", and tells on name+" said" what
// came of it.
func tend(name string) {
	ctx := context.Background()
	wards, err := channel.Open[guest.Ref](ctx, guest.Space(), channel.Name(name+" ward"))
	if err != nil {
		log.Fatal(err)
	}
	orders, err := channel.Open[string](ctx, guest.Space(), channel.Name(name+" orders"))
	if err != nil {
		log.Fatal(err)
	}
	said, err := channel.Open[string](ctx, guest.Space(), channel.Name(name+" said"))
	if err != nil {
		log.Fatal(err)
	}
	ward, err := wards.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	t, err := ward.Open(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for order, err := range orders.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		what, to, _ := strings.Cut(order, " ")
		if what == "await" {
			go func() { said.Send(ctx, wait(ctx, t)) }()
			continue
		}
		if err := said.Send(ctx, do(ctx, t, what, to)); err != nil {
			log.Fatal(err)
		}
	}
}

func do(ctx context.Context, t *guest.Tasklet, what, to string) string {
	var err error
	switch what {
	case "move":
		err = t.Move(ctx, to)
	case "suspend":
		err = t.Suspend(ctx)
	case "resume":
		err = t.Resume(ctx)
	case "kill":
		err = t.Kill(ctx)
	case "info":
		i, err := t.Info(ctx)
		where, err2 := t.Where(ctx)
		return fmt.Sprintf("%v %v of %s at %s %v, %s, status %d, %v %v %v",
			i.ID == t.ID(), i.Args, i.Origin, i.Host, i.Host == where, i.State, i.Status, i.Started.IsZero(), err, err2)
	case "own":
		var own guest.Ref
		if own, err = guest.Self(ctx); err == nil {
			_, err = own.Open(ctx)
		}
	case "wrong":
		wrong := t.Ref()
		wrong.Key[7]++
		_, err = wrong.Open(ctx)
	case "unknown":
		unknown := t.Ref()
		unknown.ID = strings.Repeat("ab", 16)
		_, err = unknown.Open(ctx)
	case "noise":
		_, err = guest.Ref{ID: "../..", Origin: "x"}.Open(ctx)
	case "crowd":
		return crowd(ctx, t)
	}
	return outcome(err)
}

func outcome(err error) string {
	for text, is := range map[string]error{
		"exited": guest.ErrExited, "there": guest.ErrSelf, "suspended": guest.ErrSuspended, "refused": guest.ErrRefused,
		"not found": guest.ErrNotFound, "killed": guest.ErrKilled, "limit": guest.ErrLimit, "canceled": context.Canceled,
	} {
		if errors.Is(err, is) {
			return text
		}
	}
	if crash := (*guest.CrashError)(nil); errors.As(err, &crash) {
		return fmt.Sprintf("%s %v %v", crash.Reason, strings.Contains(crash.Stack, "main.crash("), crash.Limit)
	}
	return fmt.Sprint(err)
}

func wait(ctx context.Context, t *guest.Tasklet) string {
	status, err := t.Wait(ctx)
	return fmt.Sprint("ended ", status, " ", outcome(err))
}

// crowd waits 300 times at once, and gives up.
func crowd(ctx context.Context, t *guest.Tasklet) string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	came := map[string]int{}
	var all sync.WaitGroup
	for range 300 {
		all.Go(func() {
			_, err := t.Wait(ctx)
			mu.Lock()
			defer mu.Unlock()
			if came[outcome(err)]++; errors.Is(err, guest.ErrLimit) && came["limit"] == 300-256 {
				cancel()
			}
		})
	}
	all.Wait()
	return fmt.Sprint(came)
}

// Command talk is a program that uses all of the package guest.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/guest"
)

func main() {
	ctx := context.Background()
	if err := talk(ctx); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// A sink says what it is given.
type sink struct{}

func (sink) Accept(p channel.Payload) {
	b, err := p.Encode()
	fmt.Printf("accepted %d bytes, %v\n", len(b), err)
}

func talk(ctx context.Context) error {
	id, err := guest.ID(ctx)
	if err != nil {
		return err
	}
	host, err := guest.Host(ctx)
	if err != nil {
		return err
	}
	fmt.Println("I am", id, "on", host)

	numbers, err := channel.Open[int](ctx, guest.Space(), "numbers")
	if err != nil {
		return err
	}
	go func() {
		for n := range 100 {
			if err := numbers.Send(ctx, n); err != nil {
				fmt.Println("send", n, err)
			}
		}
	}()
	sum := 0
	for range 100 {
		n, err := numbers.Receive(ctx)
		if err != nil {
			return err
		}
		sum += n
		if sum == 55 {
			if err := guest.Move(ctx, "elsewhere"); err != nil {
				return err
			}
			host, err := guest.Host(ctx)
			fmt.Println("now on", host, err)
		}
	}
	fmt.Println("sum", sum)

	short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	_, err = numbers.Receive(short)
	fmt.Println("receive:", err, errors.Is(err, context.DeadlineExceeded))
	fmt.Println("move:", guest.Move(ctx, "nowhere"))

	end, err := guest.Space().Open(ctx, "numbers")
	if err != nil {
		return err
	}
	outcome := make(chan error, 1)
	done := func(err error) { outcome <- err }
	end.ReceiveAsync(sink{}, done).Withdraw(errors.New("enough"))
	fmt.Println("withdrawn:", <-outcome)
	end.ReceiveAsync(sink{}, done)
	fmt.Println("received:", numbers.Send(ctx, 8), <-outcome)
	end.ReceiveAsync(sink{}, done)
	end.Leave()
	fmt.Println("left:", <-outcome)

	// A reply is seen that comes while the program computes, even if it had
	// been idle before.
	late, err := channel.Open[int](ctx, guest.Space(), "late")
	if err != nil {
		return err
	}
	got := make(chan int, 1)
	go late.Send(ctx, 9)
	go func() {
		n, _ := late.Receive(ctx)
		got <- n
	}()
	time.Sleep(50 * time.Millisecond)
	fmt.Println("computing")
	for len(got) == 0 {
		fmt.Sprint()
	}
	fmt.Println("late:", <-got)

	// Replies are seen while another goroutine computes without end.
	go func() {
		for fmt.Sprint() == "" {
		}
	}()
	go numbers.Send(ctx, 7)
	n, err := numbers.Receive(ctx)
	fmt.Println("busy:", n, err)
	return nil
}

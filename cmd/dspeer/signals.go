package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// secondSignal is how long after the first signal another one ends a peer at once,
// 2 seconds. Those that come before count as one with the first: "timeout", process
// supervisors and terminals often send two.
const secondSignal = 2 * time.Second

// errInterrupted says that a signal ended a command.
var errInterrupted = errors.New("interrupted")

// heeded returns those of the signals that were not ignored when the program was
// started. Those that were stay so: nohup ignores SIGHUP, and a shell SIGINT for
// what it runs in the background.
func heeded(signals ...os.Signal) []os.Signal {
	var list []os.Signal
	for _, s := range signals {
		if !signal.Ignored(s) {
			list = append(list, s)
		}
	}
	return list
}

// untilInterrupted runs do with a context that SIGINT or SIGTERM ends. A second
// signal ends the program at once.
func untilInterrupted(ctx context.Context, do func(context.Context) error) error {
	if signals := heeded(os.Interrupt, syscall.SIGTERM); len(signals) > 0 {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, signals...)
		defer stop()
		context.AfterFunc(ctx, stop)
	}
	return interrupted(ctx, do(ctx))
}

// interrupted returns errInterrupted in place of an err that comes from the end of
// ctx. It keeps what the user must know.
func interrupted(ctx context.Context, err error) error {
	switch {
	case ctx.Err() == nil || !errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, channel.ErrInDoubt):
		return fmt.Errorf("%w: the peer did not answer, and the message may have been received", errInterrupted)
	}
	return errInterrupted
}

// untilStopped runs do, which runs a peer, with a context that SIGINT, SIGTERM or
// SIGHUP ends. Another signal at least secondSignal later ends the program at once.
// SIGPIPE does nothing, so that a peer whose output nobody reads goes on.
func untilStopped(ctx context.Context, out *logWriter, log *slog.Logger, do func(context.Context) error) error {
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 1)
	if list := heeded(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP); len(list) > 0 {
		// There is no signal.Stop: a late second signal would change the exit
		// status of a peer that has ended in order.
		signal.Notify(signals, list...)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		if stopOnSignal(signals, done, log, cancel) {
			out.Close()
			os.Exit(exitInterrupted)
		}
	}()
	err := interrupted(ctx, do(ctx))
	close(done)
	<-ended
	return err
}

// stopOnSignal calls stop at the first signal. It returns when done is closed, or
// true at a second signal.
func stopOnSignal(signals <-chan os.Signal, done <-chan struct{}, log *slog.Logger, stop func()) (again bool) {
	var first time.Time
	for {
		select {
		case s := <-signals:
			switch {
			case first.IsZero():
				first = time.Now()
				log.Info("stopping", "signal", s.String())
				stop()
			case time.Since(first) >= secondSignal:
				log.Warn("ended at once by a second signal; each tasklet that was not suspended yet goes on from its last record",
					"signal", s.String())
				return true
			}
		case <-done:
			return false
		}
	}
}

package guest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/abi"
)

// A link is a program's connection with its host: requests go one way, and
// replies come back in any order. The package abi describes it.
type link struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]func(reply) // called with mu held
	stream  []byte                 // what was taken and is no whole record yet
	buffer  []byte
	reading bool
	ticking bool
}

// reply is what the host answered.
type reply struct {
	body []byte
	err  error
}

// call makes a request and waits for the reply. When ctx ends first, it
// withdraws the request and returns what became of it.
func (l *link) call(ctx context.Context, kind abi.Kind, payload []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	result := make(chan reply, 1)
	id, err := l.submit(kind, payload, func(r reply) { result <- r })
	if err != nil {
		return nil, err
	}
	select {
	case r := <-result:
		return r.body, r.err
	case <-ctx.Done():
	}
	r, err := l.withdraw(id, result)
	if err != nil {
		return nil, err
	}
	if errors.Is(r.err, context.Canceled) {
		r.err = ctx.Err()
	}
	return r.body, r.err
}

// withdraw takes request id back and returns its reply. If there are too many
// requests for another one, it waits for their number to fall.
func (l *link) withdraw(id uint64, result <-chan reply) (reply, error) {
	for {
		err := l.cancel(id)
		if err == nil {
			return <-result, nil
		}
		if !errors.Is(err, channel.ErrLimit) {
			return reply{}, err
		}
		select {
		case r := <-result:
			return r, nil
		case <-time.After(abi.TickInterval):
		}
	}
}

// cancel asks for request id to be taken back.
func (l *link) cancel(id uint64) error {
	_, err := l.submit(abi.KindCancel, abi.AppendCancel(nil, id), func(reply) {})
	return err
}

// submit makes a request. Its reply goes to done, which must neither wait nor
// use the link, and may be called before submit returns.
func (l *link) submit(kind abi.Kind, payload []byte, done func(reply)) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.reading {
		if err := l.read(); err != nil {
			return 0, err
		}
		l.reading = true
	}
	l.last++
	switch errno := submit(l.last, kind, payload); errno {
	case abi.OK:
	case abi.NoBuffer:
		return 0, fmt.Errorf("%w: too many requests wait for their replies, or one is too large", channel.ErrLimit)
	case abi.NoCalls:
		return 0, errors.New("this host takes no requests of programs")
	default:
		return 0, fmt.Errorf("the host refused the request with error %d", errno)
	}
	l.waiting[l.last] = done
	l.tick()
	return l.last, nil
}

// tick starts the ticker, unless it runs. The lock is held.
func (l *link) tick() {
	if l.ticking {
		return
	}
	l.ticking = true
	go func() {
		for {
			time.Sleep(abi.TickInterval)
			l.mu.Lock()
			l.drain()
			stopped := !l.ticking
			l.mu.Unlock()
			if stopped {
				return
			}
		}
	}()
}

// drain takes all the replies that there are. The lock is held.
func (l *link) drain() {
	if l.buffer == nil {
		l.buffer = make([]byte, 64<<10)
	}
	for {
		n := take(l.buffer)
		if n == abi.Idle {
			l.ticking = false
			return
		}
		l.feed(l.buffer[:n])
		if int(n) < len(l.buffer) {
			return
		}
	}
}

// feed adds bytes to the stream and hands out the replies in it. The lock is
// held.
func (l *link) feed(p []byte) {
	l.stream = append(l.stream, p...)
	rest := l.stream
	for {
		id, payload, after, ok := abi.CutRecord(rest)
		if !ok {
			break
		}
		rest = after
		if id == abi.Tick {
			l.tick()
			continue
		}
		if done, ok := l.waiting[id]; ok {
			delete(l.waiting, id)
			done(parseReply(payload))
		}
	}
	if len(rest) < len(l.stream) {
		l.stream = l.stream[:copy(l.stream, rest)]
	}
	if len(l.stream) == 0 {
		l.stream = nil // it may have been large
	}
}

// parseReply copies a reply out of the stream.
func parseReply(payload []byte) reply {
	code, body, err := abi.ParseReply(payload)
	switch {
	case err != nil:
		return reply{err: err}
	case code != 0:
		return reply{err: channel.Decode(channel.Code(code), string(body))}
	}
	return reply{body: append([]byte(nil), body...)}
}

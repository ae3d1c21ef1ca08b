package control

import (
	"context"
	"log/slog"
	"sync"

	"github.com/dstackless/dstackless/channel"
)

// leftovers are values that were received from channels and then not taken by
// the client that wanted them, because it was killed or its output was closed.
// Who sent them knows them as received, so they are kept for the next client
// that asks, as long as the peer runs. The zero value needs only its log.
type leftovers struct {
	log *slog.Logger

	mu      sync.Mutex
	shelves map[channel.Name]*shelf
}

// A shelf has one channel's leftovers, oldest first, and those who wait.
type shelf struct {
	values  []string
	waiting map[*context.CancelFunc]struct{}
}

// put keeps v, and wakes who waits.
func (l *leftovers) put(name channel.Name, v string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sh := l.shelf(name)
	sh.values = append(sh.values, v)
	for wake := range sh.waiting {
		(*wake)()
	}
	l.log.Warn("a client left a value untaken; the next one gets it", "channel", string(name), "bytes", len(v))
}

// receive returns what is left of ch's values, or else receives from it.
func (l *leftovers) receive(ctx context.Context, ch *channel.Channel[string]) (string, error) {
	for {
		waitCtx, wake := context.WithCancel(ctx)
		v, ok := l.take(ch.Name(), &wake)
		if ok {
			wake()
			return v, nil
		}
		v, err := ch.Receive(waitCtx)
		woken := waitCtx.Err() != nil && ctx.Err() == nil
		wake()
		l.leave(ch.Name(), &wake)
		if err != nil && woken {
			continue // something was left
		}
		return v, err
	}
}

// take returns what is left of the channel. If there is nothing, wake will be
// called when there is, until leave.
func (l *leftovers) take(name channel.Name, wake *context.CancelFunc) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sh := l.shelf(name)
	if len(sh.values) == 0 {
		sh.waiting[wake] = struct{}{}
		return "", false
	}
	v := sh.values[0]
	sh.values = sh.values[1:]
	l.tidy(name, sh)
	return v, true
}

func (l *leftovers) leave(name channel.Name, wake *context.CancelFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sh := l.shelf(name)
	delete(sh.waiting, wake)
	l.tidy(name, sh)
}

// shelf returns the channel's shelf, new if need be. The caller holds l.mu.
func (l *leftovers) shelf(name channel.Name) *shelf {
	sh := l.shelves[name]
	if sh == nil {
		if l.shelves == nil {
			l.shelves = map[channel.Name]*shelf{}
		}
		sh = &shelf{waiting: map[*context.CancelFunc]struct{}{}}
		l.shelves[name] = sh
	}
	return sh
}

// tidy forgets a shelf that nobody needs. The caller holds l.mu.
func (l *leftovers) tidy(name channel.Name, sh *shelf) {
	if len(sh.values) == 0 && len(sh.waiting) == 0 {
		delete(l.shelves, name)
	}
}

package network_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// A value names itself: which sender sent it, and as its how manieth.
type value struct{ Sender, Seq int }

func (v value) String() string { return fmt.Sprintf("%d.%d", v.Sender, v.Seq) }

// An item is a value of some weight.
type item struct {
	Value  value
	Weight []byte
}

// An actor is a goroutine that uses a channel at some peer. When the peer
// crashes, it goes on in the next life, under another name.
type actor struct {
	w     *workload
	r     *rand.Rand
	id    int
	style string
	at    int
	hurry int // in a hundred of its contexts end soon

	c     *channel.Channel[item]
	side  *channel.Channel[item] // the other one, of a select
	life  int
	who   string
	left  bool // the channel that it had, by itself
	stays bool // and does not leave it
}

// open opens the channel, again if it was lost. A channel that is closed for no
// reason is an error.
func (a *actor) open(ctx context.Context) error {
	peer, life, err := a.w.play.at(ctx, a.at)
	if err != nil {
		return err
	}
	space := channel.Space(peer)
	if a.c != nil && life == a.life && !a.left && !a.w.closing.Load() {
		return errors.New("it is closed, and its peer runs")
	}
	if a.style == "asynchronous receiver" {
		space = asynchronous{space}
	}
	c, err := channel.Open[item](ctx, space, a.w.name)
	side, err2 := channel.Open[item](ctx, space, a.w.name+", aside")
	if errors.Is(errors.Join(err, err2), channel.ErrClosed) { // crashed this moment
		return a.open(ctx)
	} else if err := errors.Join(err, err2); err != nil {
		return err
	}
	a.c, a.side, a.life, a.left = c, side, life, false
	a.who = fmt.Sprintf("%s %d at peer %d in life %d", a.style, a.id, a.at, life)
	return nil
}

// close closes the channel for everyone. A select may have sent the last value on
// the other one, when this one had been left.
func (a *actor) close(ctx context.Context) error {
	if a.left {
		if err := a.open(ctx); err != nil {
			return err
		}
	}
	return a.c.Close(ctx)
}

// moment returns a context for one operation.
func (a *actor) moment(ctx context.Context) (context.Context, context.CancelFunc) {
	if a.r.IntN(100) < a.hurry {
		return context.WithTimeout(ctx, time.Duration(a.r.IntN(3000))*time.Microsecond)
	}
	return context.WithCancel(ctx)
}

// fine reports whether err is among what an operation may return.
func fine(ctx context.Context, err error) bool {
	return err == nil || errors.Is(err, channel.ErrClosed) || errors.Is(err, channel.ErrInDoubt) ||
		ctx.Err() != nil && errors.Is(err, ctx.Err())
}

// cases returns what a select chooses from: sometimes also to do nothing.
func (a *actor) cases(c ...channel.Case) []channel.Case {
	if a.r.IntN(6) == 0 {
		c = append(c, channel.Default())
	}
	return c
}

var errNotChosen = errors.New("another case was chosen")

// outcome returns what became of a case of a select that has returned n and err.
func outcome(n, index int, err error) error {
	if n >= 0 && n != index {
		return errNotChosen
	}
	return err
}

package network_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/history"
)

// A workload is random senders and receivers at random peers that use one
// channel, in random weather.
type workload struct {
	seed    uint64
	r       *rand.Rand
	name    channel.Name
	size    int
	each    int
	peers   int
	senders []*actor
	takers  []*actor
	hurry   int  // in a hundred contexts end soon
	meets   bool // the peers agree on a home before anything is sent
	splits  int  // how often the network is parted
	closes  bool
	h       history.History[value]
	aside   history.History[value] // of the other channel that selects use
	weather *weather
	play    *play
	fair    atomic.Bool // nothing is done to the peers any more
	closing atomic.Bool // nor is the channel open for long
}

func newWorkload(seed uint64) *workload {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &workload{
		seed: seed, r: r,
		name:   channel.Name(fmt.Sprint("history ", seed)),
		size:   []int{0, 0, 0, 0, 5000, 5000, 200_000}[r.IntN(7)],
		each:   4 + r.IntN(20),
		peers:  2 + r.IntN(3),
		splits: max(0, r.IntN(6)-3),
		closes: r.IntN(2) == 0,
	}
	w.weather = newWeather(rand.New(rand.NewPCG(seed, 2)))
	w.hurry = r.IntN(3) * 15
	w.meets = r.IntN(4) > 0
	apart := w.peers > 2 && w.weather.apart != nil
	id := 0
	add := func(list *[]*actor, at int, styles ...string) {
		id++
		*list = append(*list, &actor{
			w: w, id: id, at: at, hurry: w.hurry, style: styles[r.IntN(len(styles))],
			r: rand.New(rand.NewPCG(seed, uint64(1000+id))),
		})
	}
	for at := range w.peers {
		// Peers that do only one thing have to do it with others, over the
		// network. Some do nothing, but may be the home.
		sending, receiving := 0, 0
		switch role := r.IntN(7); {
		case at == 0 && apart: // the home, which passes on what 1 has for 2
		case at == 0:
			receiving = 1 + r.IntN(3)
		case at == 1:
			sending = 1 + r.IntN(3)
		case at == 2 && apart:
			receiving = 1 + r.IntN(3)
		case role < 2:
			sending = 1 + r.IntN(2)
		case role < 4:
			receiving = 1 + r.IntN(2)
		case role < 6:
			sending, receiving = 1+r.IntN(2), 1
		}
		for range sending {
			add(&w.senders, at, "sender", "sequence sender", "error sender", "pipelining sender", "selecting sender")
		}
		for range receiving {
			add(&w.takers, at, "receiver", "asynchronous receiver", "iterating receiver", "selecting receiver")
		}
	}
	return w
}

func (w *workload) String() string {
	var who []string
	for _, list := range [][]*actor{w.senders, w.takers} {
		for _, a := range list {
			who = append(who, fmt.Sprintf("%s at %d", a.style, a.at))
		}
	}
	return fmt.Sprintf("%d peers, %s; %d each of %d bytes, cancelled %d%%, %d splits; %v",
		w.peers, strings.Join(who, ", "), w.each, w.size, w.hurry, w.splits, w.weather)
}

// run runs the workload. An error says that it did not come to its end.
func (w *workload) run(ctx context.Context, st *stage) error {
	ctx, cancel := context.WithTimeout(ctx, *patience+5*time.Second)
	defer cancel()
	w.play = st.play(w.peers, w.weather)
	defer w.play.close()
	var stuck atomic.Value
	defer time.AfterFunc(*patience, func() { stuck.Store(fmt.Sprint(w.play)) }).Stop()
	// Those apart find each other before they give up what they have in doubt.
	defer time.AfterFunc(time.Second, w.weather.unite).Stop()
	stop, finish := context.WithCancel(ctx)
	defer finish()
	var taking sync.WaitGroup
	errs := make(chan error, 2*len(w.senders)+len(w.takers)+2) // senders have two turns
	if err := w.gather(ctx); err != nil {
		return err
	}
	for _, a := range w.takers {
		taking.Go(func() {
			if err := a.receive(stop); err != nil {
				errs <- err
			}
		})
	}
	// First in their weather; then a last value of each, in fair weather and
	// in no hurry, has to arrive.
	w.each++
	for _, last := range []bool{false, true} {
		var sending sync.WaitGroup
		for _, a := range w.senders {
			sending.Go(func() {
				first, end := 0, w.each-1
				if last {
					first, end, a.hurry, a.stays = w.each-1, w.each, 0, true
				}
				if err := a.send(ctx, first, end); err != nil {
					errs <- err
				}
			})
		}
		if !last {
			w.split()
		}
		sending.Wait()
		w.play.calm()
		w.fair.Store(true)
	}
	w.closing.Store(true)
	if w.closes {
		if err := w.senders[0].close(ctx); err != nil {
			errs <- fmt.Errorf("close: %w", err)
			finish()
		}
	} else {
		finish()
	}
	taking.Wait()
	if ctx.Err() != nil {
		errs <- fmt.Errorf("it is stuck:%v", stuck.Load())
	}
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// gather opens the channel at all peers, and may wait until they agree on its
// home.
func (w *workload) gather(ctx context.Context) error {
	opened := map[channel.Space]bool{}
	peers := w.peers
	if w.meets {
		peers = 1 // becomes the home, and the others find it
	}
	for {
		homes := map[string]bool{}
		for at := range peers {
			space, _, err := w.play.at(ctx, at)
			if err != nil {
				return err
			}
			if !opened[space] {
				if _, err := space.Open(ctx, w.name); err != nil && !errors.Is(err, channel.ErrClosed) {
					return err
				}
				opened[space] = true
			}
			for _, c := range space.Channels() {
				homes[c.Home] = true
			}
		}
		switch agree := len(homes) == 1 && !homes[""]; {
		case peers == w.peers && (agree || !w.meets):
			return nil
		case agree:
			peers = w.peers
			continue
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the peers do not agree on a home: %v", homes)
		}
	}
}

// split parts the network for a moment, a few times.
func (w *workload) split() {
	for range w.splits {
		alone := w.r.IntN(w.peers)
		time.Sleep(time.Duration(w.r.IntN(30)) * time.Millisecond)
		for at := range w.peers {
			if at != alone {
				w.weather.sever(alone, at)
			}
		}
		time.Sleep(time.Duration(w.r.IntN(200)) * time.Millisecond)
		w.weather.heal()
	}
}

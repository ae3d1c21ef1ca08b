package peertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/internal/testhook"
	"github.com/dstackless/dstackless/tasklet"
)

// processEnv tells a process that [StartProcess] has started it.
const processEnv = "DSTACKLESS_PEERTEST_PROCESS"

// RunProcess is for TestMain to call first:
//
//	func TestMain(m *testing.M) {
//		peertest.RunProcess()
//		os.Exit(m.Run())
//	}
//
// In a process that [StartProcess] has started, it is the peer and never
// returns. In any other it does nothing.
//
// It also calls [tasklet.RunCompiler].
func RunProcess() {
	tasklet.RunCompiler()
	if os.Getenv(processEnv) == "" {
		return
	}
	os.Unsetenv(processEnv)
	c := &child{
		answers: newLines(os.Stdout), gate: newGate(),
		ends: map[uint64]channel.Endpoint{}, stops: map[uint64]*Stop{}, running: map[uint64]func(error){},
	}
	os.Stdout = os.Stderr // whatever else speaks there is no answer
	requests := json.NewDecoder(os.Stdin)
	for {
		var r request
		if err := requests.Decode(&r); err != nil {
			os.Exit(3) // whoever ran the test is gone: a crash for all
		}
		c.take(r)
	}
}

// A child is a peer that another process asks for things.
type child struct {
	answers *lines
	gate    *gate

	mu      sync.Mutex
	peer    *dstackless.Peer
	ends    map[uint64]channel.Endpoint
	stops   map[uint64]*Stop
	running map[uint64]func(error) // ends the request, with a reason
}

// take begins a request. Those whose order counts it does at once.
func (c *child) take(r request) {
	switch r.Do {
	case "cancel":
		c.mu.Lock()
		end := c.running[r.Of]
		c.mu.Unlock()
		if end != nil {
			end(decodeError(r.Code, r.Name))
		}
		c.answer(r, answer{}, nil)
		return
	case "async":
		c.async(r)
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	c.run(r.ID, cancel)
	go func() {
		a, err := c.do(ctx, &r)
		if cause := context.Cause(ctx); err != nil && cause != nil && errors.Is(err, context.Canceled) {
			err = cause
		}
		c.over(r.ID)
		cancel(nil)
		c.answer(r, a, err)
		if r.Do == "end" {
			c.answers.end()
			os.Exit(0)
		}
	}()
}

func (c *child) run(id uint64, end func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[id] = end
}

func (c *child) over(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, id)
}

func (c *child) answer(r request, a answer, err error) {
	a.ID = r.ID
	a.Code, a.Text = encodeError(err)
	c.answers.say(a)
}

// async begins a send behind those that came before it.
func (c *child) async(r request) {
	e, err := c.end(r.Of)
	if err != nil {
		c.answer(r, answer{}, err)
		return
	}
	// It may be done before its withdrawer is known.
	ready := make(chan struct{})
	var w channel.Withdrawer
	c.run(r.ID, func(err error) {
		<-ready
		w.Withdraw(err)
	})
	w = e.SendAsync(channel.Bytes(r.Value), func(err error) {
		c.over(r.ID)
		c.answer(r, answer{}, err)
	})
	close(ready)
}

func (c *child) end(id uint64) (channel.Endpoint, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.ends[id]; e != nil {
		return e, nil
	}
	return nil, fmt.Errorf("no endpoint %d", id)
}

// start starts the peer.
func (c *child) start(ctx context.Context, set *processConfig) (*processStart, error) {
	hooks := &testhook.Hooks{Stream: c.gate.tap}
	peer, err := dstackless.Start(testhook.With(ctx, hooks), &dstackless.Options{
		DataDir: set.DataDir, Listen: set.Listen, Bootstrap: set.Bootstrap,
		Accept: set.Accept, Limits: set.Limits,
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peer = peer
	return &processStart{peer.ID(), peer.Addrs()}, nil
}

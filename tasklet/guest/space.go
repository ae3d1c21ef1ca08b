package guest

import (
	"context"
	"sync"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/abi"
)

// A space is the host's channels. It tells the host of each name once.
type space struct {
	mu   sync.Mutex
	open map[channel.Name]int // endpoints by name
}

var theSpace = space{open: map[channel.Name]int{}}

// Open returns an end of the named channel.
func (s *space) Open(ctx context.Context, name channel.Name) (channel.Endpoint, error) {
	if err := name.Validate(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.open[name]++
	s.mu.Unlock()
	// Asking again for a name that is open is harmless, and simpler than to
	// have one goroutine wait for another's question.
	if _, err := host.call(ctx, abi.KindOpen, abi.AppendString(nil, string(name))); err != nil {
		s.leave(name)
		return nil, err
	}
	e := &endpoint{space: s, name: name}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	return e, nil
}

// leave gives up one endpoint of a name, and the name with the last of them.
func (s *space) leave(name channel.Name) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[name]--
	if s.open[name] > 0 {
		return nil
	}
	delete(s.open, name)
	_, err := host.submit(abi.KindLeave, abi.AppendString(nil, string(name)), func(reply) {})
	return err
}

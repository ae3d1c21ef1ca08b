package channel

import (
	"sync"
	"sync/atomic"
)

// A spare keeps things that are used again. Most channels have use for one at a
// time: a pool, which reserves memory for each processor, is made when a second
// one comes back. The zero spare is empty.
type spare[T any] struct {
	one  atomic.Pointer[T]
	more atomic.Pointer[sync.Pool]
}

// get returns one, or nil.
func (s *spare[T]) get() *T {
	if t := s.one.Load(); t != nil && s.one.CompareAndSwap(t, nil) {
		return t
	}
	if pool := s.more.Load(); pool != nil {
		t, _ := pool.Get().(*T)
		return t
	}
	return nil
}

// put gives one back.
func (s *spare[T]) put(t *T) {
	if s.one.Load() == nil && s.one.CompareAndSwap(nil, t) {
		return
	}
	pool := s.more.Load()
	if pool == nil {
		s.more.CompareAndSwap(nil, new(sync.Pool))
		pool = s.more.Load()
	}
	pool.Put(t)
}

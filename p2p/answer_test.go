package p2p_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// A journal keeps what is logged.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

// count returns how often text was logged.
func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.b.String(), text)
}

// await waits until text is logged.
func (j *journal) await(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); j.count(text) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not logged", text)
		}
	}
}

// Who connects to a peer that has blocked it is told so, and so is that peer's
// operator, once.
func TestConnectToBlocker(t *testing.T) {
	for _, transport := range loopback {
		t.Run(transport, func(t *testing.T) {
			log := new(journal)
			blocker := startWith(t, p2p.Options{Listen: []string{transport}, Logger: slog.New(slog.NewTextHandler(log, nil))})
			n := start(t, transport)
			if err := blocker.Block(n.ID()); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				_, err := n.Connect(within(t), blocker.Addrs()[0])
				if !errors.Is(err, p2p.ErrUnreachable) || !strings.Contains(err.Error(), "it has blocked this peer") {
					t.Errorf("connect: %v", err)
				}
			}
			if got := log.count("refused a blocked peer"); got != 1 {
				t.Errorf("the log tells of it %d times", got)
			}
			if err := blocker.Unblock(n.ID()); err != nil {
				t.Fatal(err)
			}
			if _, err := n.Connect(within(t), blocker.Addrs()[0]); err != nil {
				t.Errorf("connect when it is not blocked any more: %v", err)
			}
		})
	}
}

// A peer that is kept, and ends each connection at once, is dialed now and then,
// and the log says why.
func TestKeepBlocker(t *testing.T) {
	blocker := start(t)
	log := new(journal)
	n := startWith(t, p2p.Options{Listen: loopback, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err := blocker.Block(n.ID()); err != nil {
		t.Fatal(err)
	}
	var made atomic.Int32
	defer n.Watch(func(_ p2p.ID, connected bool) {
		if connected {
			made.Add(1)
		}
	})()
	if err := n.KeepConnected(blocker.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	log.await(t, "it has blocked this peer")
	if err := blocker.Unblock(n.ID()); err != nil {
		t.Fatal(err)
	}
	log.await(t, "reconnected to a kept peer")
	if made.Load() > 20 {
		t.Errorf("%d connections were made", made.Load())
	}
}

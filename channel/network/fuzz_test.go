package network_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/codec"
)

// FuzzHostileSession has a member of a channel say anything at all, to its home
// and to another member, while these two use a channel that it does not know.
// When it has gone, they use the one that it was a member of.
func FuzzHostileSession(f *testing.F) {
	var all []byte
	for _, fr := range frames() {
		fr.Number = 1
		f.Add(codec.AppendFrame(nil, fr.Bytes()))
		all = codec.AppendFrame(all, fr.Bytes())
	}
	f.Add(all)
	const known, secret = channel.Name("known"), channel.Name("secret")
	peers := startPeers(f, 2, "/ip4/127.0.0.1/tcp/0")
	node := startNode(f)
	for _, p := range peers {
		open[string](f, p, known)
		open[string](f, p, secret)
	}
	var n int
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		n++
		victim := peers[n%2]
		before := n
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := exchanged(ctx, secret, peers[0], peers[1], fmt.Sprint("secret ", before)); err != nil {
				t.Error(err)
			}
		}()
		defer func() { <-done }()
		h := attack(ctx, t, node, victim, true)
		defer h.stream.Reset()
		h.say(h.hello(known, 1, 0, ""))
		h.write(proven(h, known, data))
		h.stream.CloseWrite()
		select {
		case <-h.ended:
		case <-ctx.Done():
			t.Error("the session goes on")
		}
		<-done
		for victim.Sessions(node.ID()) > 0 && ctx.Err() == nil {
			runtime.Gosched()
		}
		// A home may have heard of a receive twice while it changed. Such a one
		// is struck out by the next send that it is matched with.
		for left := 3; ; left-- {
			if err := exchanged(ctx, known, peers[1], peers[0], fmt.Sprint("known ", before)); err != nil {
				t.Error(err)
			}
			sends, receives, pairs := victim.Homed(known)
			if sends+receives+pairs == 0 {
				break
			}
			if left == 0 {
				t.Errorf("%d sends, %d receives and %d matches stay behind", sends, receives, pairs)
				break
			}
		}
	})
}

// hellos is how many times the member may say hello: each time it can name a home
// that is not there, which costs the others about a second.
const hellos = 4

// proven gives the frames in data that say hello the proof that they lack, and
// leaves out what comes after hellos of them, and those that close the channel, as
// any member may.
func proven(h *hostile, name channel.Name, data []byte) []byte {
	var out []byte
	in := bytes.NewReader(data)
	r := bufio.NewReader(in)
	for said := 0; ; {
		left := in.Len() + r.Buffered()
		b, err := codec.ReadFrame(r, network.MaxFrameBytes)
		if err != nil {
			return append(out, data[len(data)-left:]...)
		}
		f, err := network.ParseFrame(b)
		if err == nil && f.Kind == network.ChannelClosed {
			continue
		}
		if err == nil && f.Kind == network.Hello {
			valid := h.hello(name, f.Number, f.ClaimTerm, f.Home)
			if said++; said > hellos {
				return out
			}
			f.Key, f.Proof = valid.Key, valid.Proof
			b = f.Bytes()
		}
		out = codec.AppendFrame(out, b)
	}
}

// exchanged sends a value from one peer to another.
func exchanged(ctx context.Context, name channel.Name, from, to *peer, value string) error {
	a, err := channel.Open[string](ctx, from, name)
	if err != nil {
		return err
	}
	defer a.Leave()
	b, err := channel.Open[string](ctx, to, name)
	if err != nil {
		return err
	}
	defer b.Leave()
	sent := make(chan error, 1)
	go func() { sent <- a.Send(ctx, value) }()
	got, err := b.Receive(ctx)
	if err == nil && got != value {
		err = fmt.Errorf("received %q, not %q", got, value)
	}
	return errors.Join(err, <-sent)
}

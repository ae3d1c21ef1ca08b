package peertest_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/dstackless/dstackless/peertest/crafted"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/abi"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// intrusions are what an intruder does over and over, each side by side with the
// others. Each does it once.
var intrusions = map[string]func(*intruder, context.Context, *rand.Rand) error{
	// Programs that run for ever.
	"endless programs": func(i *intruder, ctx context.Context, r *rand.Rand) error {
		programs := crafted.Endless()
		names := slices.Sorted(maps.Keys(programs))
		return i.start(ctx, programs[names[r.IntN(len(names))]].Bytes(), craftedMemory, nil, nil)
	},
	// Programs whose compilation takes long.
	"large functions": func(i *intruder, ctx context.Context, r *rand.Rand) error {
		const flush = "\x41\x00\x10\x03\x04\x40\x00\x0b" // call function 3; if; unreachable; end
		m := crafted.Program(
			crafted.Function{Type: crafted.GoFunction, Body: "\x00\x41\x00\x0b"},
			crafted.Function{Type: crafted.GoFunction, Body: "\x00" + strings.Repeat("\x01", 400_000) + "\x41\x00\x0b"},
			crafted.Function{Type: crafted.Procedure, Body: "\x00" + strings.Repeat(flush, 16_000) + "\x0b"})
		return i.look(ctx, fresh(m))
	},
	// Programs of which each is another one.
	"new programs": func(i *intruder, ctx context.Context, r *rand.Rand) error {
		return i.look(ctx, fresh(crafted.Endless()["loop"]))
	},
	// Pages of memory, again and again.
	"endless pages": (*intruder).sendPages,
	// Tasklets of other peers: the victim, one that does not exist, and one that has
	// given the tasklet to the intruder.
	"claimed origins": func(i *intruder, ctx context.Context, r *rand.Rand) error {
		return i.start(ctx, crafted.Endless()["loop"].Bytes(), craftedMemory, func(o *offer) error {
			switch r.IntN(3) {
			case 0:
				o.ID, o.Claim = claim(i.victim.String())
			case 1:
				o.ID, o.Claim = claim("12D3KooWGRUpLDwYVtKuLqDJcB1vZ6tZq7DW7Yya6Nx3i2Qx2Dkd")
			default:
				self := i.node.ID().String()
				o.ID, o.Claim = claim(i.accomplice.ID().String())
				c, err := pass(i.accomplice, o.ID, o.Claim, self)
				if err != nil {
					return err
				}
				o.Claim = c
			}
			o.Origin = o.Claim.Origin
			return nil
		}, nil)
	},
	// Replies that nobody reads.
	"full inboxes": func(i *intruder, ctx context.Context, r *rand.Rand) error {
		return i.start(ctx, crafted.Endless()["return"].Bytes(), craftedMemory, nil, func(c *tasklet.Continuation) {
			c.State.Inbox = make([]byte, 30<<20)
		})
	},
	// Requests without reply.
	"many requests": func(i *intruder, ctx context.Context, r *rand.Rand) error {
		return i.ask(ctx, func(n int) (abi.Kind, []byte) {
			return abi.KindMove, abi.AppendString(nil, fmt.Sprint("nobody-", r.IntN(1000)))
		})
	},
	// Channels, thousands of them.
	"many channels": func(i *intruder, ctx context.Context, r *rand.Rand) error {
		which := r.Uint32()
		return i.ask(ctx, func(n int) (abi.Kind, []byte) {
			return abi.KindReceive, abi.AppendString(nil, fmt.Sprint("flood ", which, " ", n))
		})
	},
}

// look has the victim look at a program, and no more.
func (i *intruder) look(ctx context.Context, wasm []byte) error {
	b, err := i.offer(ctx, wasm, craftedMemory, nil)
	if err == nil {
		b.Reset()
	}
	return err
}

// ask starts a tasklet that has as many requests without reply as there can be.
func (i *intruder) ask(ctx context.Context, request func(n int) (abi.Kind, []byte)) error {
	return i.start(ctx, crafted.Endless()["return"].Bytes(), craftedMemory, nil, func(c *tasklet.Continuation) {
		for n := range sandbox.MaxCalls {
			kind, payload := request(n)
			c.State.Calls = append(c.State.Calls, sandbox.Call{ID: uint64(n + 1), Kind: kind, Payload: payload})
		}
	})
}

// sendPages sends a memory of 2 MiB over and over, until it is refused.
func (i *intruder) sendPages(ctx context.Context, r *rand.Rand) error {
	const memory, batch = 2 << 20, 60
	b, err := i.offer(ctx, crafted.Endless()["loop"].Bytes(), memory, nil)
	if err != nil {
		return err
	}
	defer b.Reset()
	packer, err := zstd.NewWriter(nil)
	if err != nil {
		return err
	}
	defer packer.Close()
	told := make(chan error, 1)
	go func() {
		_, _, err := b.hear() // a failure
		told <- err
	}()
	for {
		list := tasklet.PageList{Size: memory}
		for n := range uint32(memory / 4096) {
			list.Index = append(list.Index, n)
		}
		err := b.say(tagPages, &list)
		for n := len(list.Index); n > 0 && err == nil; n -= batch {
			err = b.sayBytes(tagData, packer.EncodeAll(bytes.Repeat([]byte{byte(r.IntN(256))}, 4096*min(n, batch)), nil))
		}
		if err != nil {
			b.CloseWrite()
			return <-told
		}
	}
}

// Package tasklet runs programs and functions that move from peer to peer while
// they run.
//
// A tasklet is a running thing with an ID, a peer that hosts it, and, while it
// is on its way, a [Continuation]. There are two kinds, with one life.
//
// A program is an ordinary Go program, built with GOOS=wasip1 GOARCH=wasm, in a
// sandbox: when it moves, all of it moves, every goroutine in the middle of what
// it is doing, its heap, its timers and its operations on channels. It needs
// nothing of this module to be a tasklet. With the packages channel and
// tasklet/guest it can use channels and move itself. See [Host.Spawn].
//
// A function is one that the peers' own programs have in common: it runs
// natively, moves when it is at an operation on a channel, and is called again
// at the destination with its state. See [Func] and [Host.Go]. Where very many
// wait for long, they can do so without goroutines: see [Self.Parking].
package tasklet

// Package model holds a model of the protocol of channels, which its tests
// explore exhaustively: every order in which anything may happen, for a few
// peers and operations.
//
// A histories test shows that the code kept its promises in the runs that it
// made. Here no schedule is left out, but it is a model that runs, not the code:
// who changes one changes the other. Its channelState has the methods of
// network.channelState, with the same names and, less what only bytes and clocks need,
// the same bodies.
//
// # What is modelled
//
// Peers, each with an incarnation, its channels, and what it remembers of accepts;
// sessions, two between a pair at most, first in, first out in each direction;
// all frames that find a receiver for a value (hello, unknown, leave, send,
// queued, receive, withdraw, match, match result, deliver, accept, refuse, relay lost);
// sends with their value and without, cancelled contexts, selects, pipelines, homes
// that are lost, leave, move, meet, or are not reached by all.
//
// The next step is any that can be made: the next frame of any link is read,
// an end notices that its session has broken, an operation begins, a dial ends,
// a timer ends, a fault strikes. Nothing is said of time but this: what is
// given up after a while is given up only while it cannot be had.
//
// Not modelled: closing for everyone, Balance and Select's default, the successor (it
// says only who succeeds first), limits, lies, and the rule when values go along
// with a request: that is the plan's choice.
//
// # What is checked
//
// In every world: nothing is received twice; a send that returned nil was
// received, one that returned another error never was, unless it is in doubt,
// which it is only when its taker was lost in the act; one tasklet's values
// arrive in order at another; a receive accepts one value; one copy of a value
// at most is where it could be taken; of a select at most one alternative is
// done; claims only improve, and elections end.
//
// In every world in which nothing more happens, with partitions healed: no
// outcome is awaited, no select is tentative, no send and receive that could
// meet wait, and all who are there have the same home. And from every world
// there is a way to such a one.
//
// # Sizes
//
// Two peers with up to four operations and three with two, in each place of the
// home, and one fault of any kind at any moment; two faults for the smallest;
// selects of two peers and rings of three; pipelines of two and three sends. That
// is about 800,000 worlds, some ten seconds. Larger ones, some minutes and gigabytes:
//
//	go test ./channel/network/internal/model -long -timeout 1h
//
// With -race only the first 10,000 of each are explored.
//
// The number of worlds of each is logged (-v). When a promise is broken the test
// prints the shortest way there. That the checker finds what it should is tested
// with models that lack one thing each.
//
// The method is that of explicit-state model checkers (Holzmann, The Spin Model
// Checker, 2003): a breadth-first search that remembers a hash of each world.
// There is no partial-order reduction.
package model

// Package programs holds no code but tests: other people's programs, which
// know nothing of this module, are run as tasklets that move from peer to peer
// every few milliseconds, and must do what they do when they are left alone.
//
// They are the tests of Go's standard library, as the Go command builds them,
// and small programs around well-known modules: see the folders beside this
// file. It is a Go module of its own, so that those modules are none of the
// library's.
//
//	go test ./...                       # a few of them, a minute
//	go test -timeout 3h ./... -long    # all of them, an hour on two cores
//
// A program that was not moved proves nothing: the tests count the moves, and
// fail without. The moments are chosen with a seed that is printed, and that
// -seed sets.
package programs

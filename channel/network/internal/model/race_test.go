//go:build race

package model

// limit is how many worlds of a plan are explored. The race detector makes that
// ten times as slow, and has nothing to find in one goroutine.
const limit = 10_000

//go:build !race

package model

// limit is how many worlds of a plan are explored: all.
const limit = 0

//go:build race

package compiler

// slow is how many times longer a program takes to compile with the race detector.
const slow = 10

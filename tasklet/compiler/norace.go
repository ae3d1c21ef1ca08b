//go:build !race

package compiler

// slow is how many times longer a program takes to compile than usually.
const slow = 1

//go:build !linux

// Package lab builds networks inside one Linux machine. On other systems it is
// empty.
package lab

//go:build !linux

package sandbox

func newShadow(*memory, *image) shadow { return newCopied() }

//go:build !unix

package p2p

import "io/fs"

// exposure says how users other than this one can change a folder: here, modes do
// not tell.
func exposure(fs.FileInfo, string) (what, todo string) { return "", "" }

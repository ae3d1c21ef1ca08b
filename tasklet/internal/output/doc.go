// Package output keeps what tasklets write. A [Buffer] holds the last bytes of one
// tasklet's output, in memory and, at the peer that started the tasklet, in a file.
// A [Reader] reads it, here or from another peer.
package output

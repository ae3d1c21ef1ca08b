//go:build race

package peertest_test

// A program is compiled ten times as slowly with the race detector.
func init() { raceDetector = true }

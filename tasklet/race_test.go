//go:build race

package tasklet_test

func init() { raceDetector = true }

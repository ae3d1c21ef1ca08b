package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A size is a number of bytes on the command line.
type size uint64

// unitOf returns a unit's bytes.
func unitOf(name string) (uint64, bool) {
	units := map[string]uint64{
		"": 1, "B": 1,
		"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
	}
	u, ok := units[name]
	return u, ok
}

// Set implements pflag.Value.
func (s *size) Set(text string) error {
	unit := strings.TrimLeft(text, "0123456789")
	n, err := strconv.ParseUint(strings.TrimSuffix(text, unit), 10, 64)
	factor, known := unitOf(unit)
	switch {
	case err != nil || !known:
		return fmt.Errorf("want a number of bytes such as 268435456 or 256MiB (B, KB, MB, GB, KiB, MiB or GiB)")
	case n == 0:
		return errNotPositive
	case n > math.MaxUint64/factor:
		return fmt.Errorf("too large")
	}
	*s = size(n * factor)
	return nil
}

// String implements pflag.Value.
func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*s), 10)
}

// Type implements pflag.Value.
func (s *size) Type() string { return "bytes" }

// bytesText returns n bytes for people.
func bytesText(n uint64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

package main

import "testing"

func TestSize(t *testing.T) {
	for text, want := range map[string]size{
		"1": 1, "268435456": 256 << 20, "256MiB": 256 << 20, "64KiB": 64 << 10, "2GiB": 2 << 30,
		"10B": 10, "3KB": 3000, "3kB": 3000, "3MB": 3e6, "3GB": 3e9,
		"18446744073709551615": 1<<64 - 1,
	} {
		var s size
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%s is %d, %v; want %d", text, s, err, want)
		}
	}
	for _, text := range []string{
		"", "MiB", "-1", "+1", "0", "0MiB", "1.5GiB", "1 MiB", "1TiB", "1mib", "18446744073709551616", "17179869184GiB",
	} {
		s := size(7)
		if err := s.Set(text); err == nil || s != 7 {
			t.Errorf("%q is %d, %v; want an error", text, s, err)
		}
	}
}

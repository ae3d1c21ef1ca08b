package diskspace_test

import (
	"errors"
	"testing"

	"github.com/dstackless/dstackless/tasklet/diskspace"
)

func TestAllow(t *testing.T) {
	for _, test := range []struct {
		free, bytes uint64
		err         error
		low         bool
	}{
		{free: diskspace.Reserve},
		{free: diskspace.Reserve - 1, low: true},
		{free: 0, low: true},
		{free: diskspace.Reserve + 10, bytes: 10},
		{free: diskspace.Reserve + 10, bytes: 11, low: true},
		{free: 1 << 62, bytes: 1<<64 - 1, low: true},
		{err: errors.New("nothing is known")},
	} {
		f := diskspace.NewFloor("x", func(string) (uint64, error) { return test.free, test.err })
		if err := f.Allow(test.bytes); errors.Is(err, diskspace.ErrLow) != test.low {
			t.Errorf("%+v: %v", test, err)
		}
	}
	if err := (*diskspace.Floor)(nil).Allow(1 << 60); err != nil {
		t.Errorf("without a disk: %v", err)
	}
	if err := diskspace.NewFloor(t.TempDir(), nil).Allow(1 << 62); !errors.Is(err, diskspace.ErrLow) {
		t.Errorf("the system's disk has room for 4 EiB: %v", err)
	}
}

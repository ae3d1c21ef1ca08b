package tasklet_test

import (
	"path/filepath"
	"testing"

	"github.com/dstackless/dstackless/tasklet/abi"
)

// FuzzCalls asks a host for whatever, as a hostile program may. Nothing of it is
// left when it has been withdrawn.
func FuzzCalls(f *testing.F) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzCalls/*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	payloads := [][]byte{
		nil,
		abi.AppendString(nil, "name"),
		abi.AppendString(nil, ""),
		abi.AppendSend(nil, "name", []byte("value")),
		abi.AppendCancel(nil, 1),
		abi.AppendSelect(nil, []abi.Alternative{{Name: "a"}, {Name: "b", Sends: true, Value: []byte("v")}}, true),
		abi.AppendHandle(nil, abi.Ref{ID: string(good().ID), Origin: good().Origin}, "name"),
	}
	for kind := range abi.KindResume + 2 {
		for _, p := range payloads {
			f.Add(uint64(1), kind, p)
		}
	}
	caller := startPeer(f, tcp, nil).NewCaller(good().ID)
	f.Fuzz(func(t *testing.T, id uint64, kind abi.Kind, payload []byte) {
		if left := caller.Ask(id, kind, payload); left != 0 {
			t.Errorf("%d requests are left", left)
		}
	})
}

package tasklet_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

const limit = 1 << 20

const goodPeer = "12D3KooWLLx9CNjmgptNu474mxMARWYneErRaHZD4eyB5evq3aQY"

// good is a continuation of a memory of two pages of which one differs.
func good() tasklet.Continuation {
	return tasklet.Continuation{
		Version: tasklet.Version,
		ID:      "f9a3404c5f1789d845180d1aa8a956b0",
		Program: "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
		Origin:  goodPeer,
		Claim:   tasklet.Claim{Origin: goodPeer},
		Started: time.Unix(1, 0).UTC(),
		State:   sandbox.State{G0: 1, Pages: 1, Args: []string{"program"}, Calls: []sandbox.Call{{ID: 1, Kind: 2, Payload: []byte("x")}}},
		Memory:  tasklet.PageList{Size: 64 << 10, Index: []uint32{3}, Hashes: bytes.Repeat([]byte{7}, 32)},
		Unread:  []byte("out"),
		Moves:   []tasklet.Hop{{From: goodPeer, To: goodPeer, Bytes: 1}},
	}
}

// goodFunction is a continuation of the function count.
func goodFunction() tasklet.Continuation {
	c := good()
	c.Program, c.State, c.Memory = "", sandbox.State{}, tasklet.PageList{}
	state, err := codec.Marshal(&counter{N: 3, To: 300}, 1<<20)
	if err != nil {
		panic(err)
	}
	c.Function = &tasklet.FunctionState{Name: "count", Shape: "{Channel {Name string}; N int; To int}", State: state}
	return c
}

// goodResting is one of a function that has received something while it rested.
func goodResting() tasklet.Continuation {
	c := goodFunction()
	c.Function.Received = []tasklet.Received{
		{Channel: "numbers", Value: []byte("\x03int\x03\x04\x00\x0e")},
		{Channel: "numbers", Code: channel.CodeClosed, Text: "channel closed"},
	}
	return c
}

func encode(t testing.TB, c tasklet.Continuation) []byte {
	t.Helper()
	return must[[]byte](t)(codec.Marshal(&c, 1<<20))
}

func TestContinuation(t *testing.T) {
	for _, want := range []tasklet.Continuation{good(), goodFunction(), goodResting()} {
		data := encode(t, want)
		got, err := tasklet.DecodeContinuation(data, limit)
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("decoded %+v, %v", got, err)
		}
		for n := range data {
			if _, err := tasklet.DecodeContinuation(data[:n], limit); !errors.Is(err, tasklet.ErrContinuation) {
				t.Fatalf("cut to %d bytes: %v", n, err)
			}
		}
	}
	for name, forge := range map[string]func(c *tasklet.Continuation){
		"no name":        func(c *tasklet.Continuation) { c.Function.Name = "" },
		"long name":      func(c *tasklet.Continuation) { c.Function.Name = strings.Repeat("x", 256) },
		"long shape":     func(c *tasklet.Continuation) { c.Function.Shape = strings.Repeat("x", 257) },
		"large state":    func(c *tasklet.Continuation) { c.Function.State = make([]byte, tasklet.MaxFunctionState+1) },
		"no channel":     func(c *tasklet.Continuation) { c.Function.Received[1].Channel = "" },
		"large values":   func(c *tasklet.Continuation) { c.Function.Received[0].Value = make([]byte, 2*channel.MaxValue) },
		"program, too":   func(c *tasklet.Continuation) { c.Program = good().Program },
		"memory, too":    func(c *tasklet.Continuation) { c.Memory = good().Memory },
		"registers, too": func(c *tasklet.Continuation) { c.State.Pages = 1 },
	} {
		c := goodResting()
		forge(&c)
		data := must[[]byte](t)(codec.Marshal(&c, 1<<27))
		if _, err := tasklet.DecodeContinuation(data, limit); !errors.Is(err, tasklet.ErrContinuation) {
			t.Errorf("function: %s: %v", name, err)
		}
	}
	for name, forge := range map[string]func(c *tasklet.Continuation){
		"version":         func(c *tasklet.Continuation) { c.Version++ },
		"ID":              func(c *tasklet.Continuation) { c.ID = "../../etc/passwd" },
		"program":         func(c *tasklet.Continuation) { c.Program = "program" },
		"origin":          func(c *tasklet.Continuation) { c.Origin = "" },
		"memory over":     func(c *tasklet.Continuation) { c.Memory.Size, c.State.Pages = 2*limit, 2*limit>>16 },
		"memory forged":   func(c *tasklet.Continuation) { c.Memory.Size = 1 << 63 },
		"memory differs":  func(c *tasklet.Continuation) { c.State.Pages = 2 },
		"page outside":    func(c *tasklet.Continuation) { c.Memory.Index = []uint32{16} },
		"page twice":      func(c *tasklet.Continuation) { c.Memory.Index, c.Memory.Hashes = []uint32{3, 3}, make([]byte, 64) },
		"hashes missing":  func(c *tasklet.Continuation) { c.Memory.Hashes = c.Memory.Hashes[:8] },
		"hashes too many": func(c *tasklet.Continuation) { c.Memory.Hashes = make([]byte, 64) },
		"too many moves":  func(c *tasklet.Continuation) { c.Moves = make([]tasklet.Hop, 1000) },
		"name of a peer":  func(c *tasklet.Continuation) { c.Moves[0].To = strings.Repeat("x", 1000) },
		"no claim":        func(c *tasklet.Continuation) { c.Claim = tasklet.Claim{} },
		"other nonce":     func(c *tasklet.Continuation) { c.Claim.Nonce[0]++ },
		"empty links":     func(c *tasklet.Continuation) { c.Claim.Links = make([]tasklet.Link, 257) },
		"position":        func(c *tasklet.Continuation) { c.UnreadAt = -1 },
		"position at end": func(c *tasklet.Continuation) { c.UnreadAt = 1<<62 - 1 },
		"far year":        func(c *tasklet.Continuation) { c.Started = time.Date(35_000_000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"odd zone":        func(c *tasklet.Continuation) { c.Started = c.Started.In(time.FixedZone("", 30*3600)) },
		"hop to nobody":   func(c *tasklet.Continuation) { c.Moves[0].To = "b" },
		"hop of no time":  func(c *tasklet.Continuation) { c.Moves[0].Frozen = -1 },
		"long hop":        func(c *tasklet.Continuation) { c.Moves[0].From = strings.Repeat("1", 1000) },
		"long CID":        func(c *tasklet.Continuation) { c.Program = strings.Repeat("b", 1000) },
		"long claim":      func(c *tasklet.Continuation) { c.Claim.Links = make([]tasklet.Link, 257) },
		"long signature":  func(c *tasklet.Continuation) { c.Claim.Links = []tasklet.Link{{Sign: make([]byte, 10_000)}} },
		"arguments":       func(c *tasklet.Continuation) { c.State.Args = make([]string, 10_000) },
		"too many calls":  func(c *tasklet.Continuation) { c.State.Calls = make([]sandbox.Call, sandbox.MaxCalls+1) },
		"a call twice":    func(c *tasklet.Continuation) { c.State.Calls = append(c.State.Calls, c.State.Calls...) },
		"no register":     func(c *tasklet.Continuation) { c.State.G0 = 0 },
		"computed less":   func(c *tasklet.Continuation) { c.State.CPU = -1 },
		"before 1970":     func(c *tasklet.Continuation) { c.State.Wall = -1 },
	} {
		c := good()
		forge(&c)
		if _, err := tasklet.DecodeContinuation(encode(t, c), limit); !errors.Is(err, tasklet.ErrContinuation) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzContinuation(f *testing.F) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzContinuation/*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	f.Add(encode(f, good()))
	f.Add(encode(f, goodFunction()))
	f.Add(encode(f, goodResting()))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := tasklet.DecodeContinuation(data, limit)
		if err != nil {
			return
		}
		c.Claim.Holder(c.ID) // of any claim
		if c.Function != nil {
			tasklet.DecodeState(count, c.Function.State)
		}
		again, err := tasklet.DecodeContinuation(encode(t, *c), limit)
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Errorf("a continuation changes when it is encoded: %+v, %+v, %v", c, again, err)
		}
	})
}

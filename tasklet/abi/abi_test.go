package abi_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/dstackless/dstackless/tasklet/abi"
)

func TestRecords(t *testing.T) {
	stream := abi.AppendRecord(nil, 7, []byte("seven"))
	stream = abi.AppendRecord(stream, abi.Tick, nil)
	for n := range abi.RecordHead + 5 {
		if _, _, _, ok := abi.CutRecord(stream[:n]); ok {
			t.Errorf("a record was cut from its first %d bytes", n)
		}
	}
	id, payload, rest, ok := abi.CutRecord(stream)
	if !ok || id != 7 || string(payload) != "seven" {
		t.Errorf("first record: %d %q %v", id, payload, ok)
	}
	if id, payload, rest, ok = abi.CutRecord(rest); !ok || id != abi.Tick || len(payload) != 0 || len(rest) != 0 {
		t.Errorf("second record: %d %q %q %v", id, payload, rest, ok)
	}
}

func TestPayloads(t *testing.T) {
	name, value, err := abi.ParseSend(abi.AppendSend(nil, "jobs", []byte("value")))
	if name != "jobs" || string(value) != "value" || err != nil {
		t.Errorf("send: %q %q %v", name, value, err)
	}
	if id, err := abi.ParseCancel(abi.AppendCancel(nil, 1<<40)); id != 1<<40 || err != nil {
		t.Errorf("cancel: %d %v", id, err)
	}
	want := []abi.Alternative{{Name: "a"}, {Name: "b", Sends: true, Value: []byte("v")}}
	if got, wait, err := abi.ParseSelect(abi.AppendSelect(nil, want, true)); !reflect.DeepEqual(got, want) || !wait || err != nil {
		t.Errorf("select: %v %v %v", got, wait, err)
	}
	if n, code, body, err := abi.ParseChosen(abi.AppendChosen(nil, 2, 3, []byte("x"))); n != 2 || code != 3 || string(body) != "x" || err != nil {
		t.Errorf("chosen: %d %d %q %v", n, code, body, err)
	}
	if n, err := abi.ParseBalance(abi.AppendBalance(nil, -7)); n != -7 || err != nil {
		t.Errorf("balance: %d %v", n, err)
	}
	ref := abi.Ref{ID: "id", Origin: "origin", Key: [32]byte{1, 31: 2}}
	if got, err := abi.ParseRef(abi.AppendRef(nil, ref)); got != ref || err != nil {
		t.Errorf("ref: %v %v", got, err)
	}
	if got, peer, err := abi.ParseHandle(abi.AppendHandle(nil, ref, "peer")); got != ref || peer != "peer" || err != nil {
		t.Errorf("handle: %v %q %v", got, peer, err)
	}
	code, body, err := abi.ParseReply(abi.AppendReply(nil, 3, []byte("body")))
	if code != 3 || string(body) != "body" || err != nil {
		t.Errorf("reply: %d %q %v", code, body, err)
	}
}

func TestMalformed(t *testing.T) {
	long := abi.AppendString(nil, string(make([]byte, abi.MaxString+1)))
	for what, b := range map[string][]byte{
		"empty": nil, "short": {3, 'a', 'b'}, "long form": {0x81, 0, 'a'}, "too long": long,
		"overflow": bytes.Repeat([]byte{0xff}, 11), "trailing": {1, 'a', 'b'},
	} {
		if s, err := abi.ParseString(b); err == nil {
			t.Errorf("%s: parsed as %q", what, s)
		}
	}
	if _, err := abi.ParseCancel(make([]byte, 9)); err == nil {
		t.Error("a cancel of 9 bytes was parsed")
	}
	if _, _, err := abi.ParseReply(nil); err == nil {
		t.Error("an empty reply was parsed")
	}
}

// FuzzPayloads checks that what a decoder accepts is exactly what its encoder
// makes.
func FuzzPayloads(f *testing.F) {
	f.Add(abi.AppendString(nil, "greetings"))
	f.Add(abi.AppendSend(nil, "greetings", []byte("hello")))
	f.Add(abi.AppendCancel(nil, 12))
	f.Add(abi.AppendSelect(nil, []abi.Alternative{{Name: "a"}, {Name: "b", Sends: true, Value: []byte("v")}}, true))
	f.Add(abi.AppendChosen(nil, -1, 0, nil))
	f.Add(abi.AppendBalance(nil, -3))
	f.Add(abi.AppendRef(nil, abi.Ref{ID: "id", Origin: "origin"}))
	f.Add(abi.AppendHandle(nil, abi.Ref{ID: "id", Origin: "origin"}, "peer"))
	f.Add(abi.AppendRecord(nil, 1, abi.AppendReply(nil, 0, []byte("x"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(what string, again []byte) {
			if !bytes.Equal(again, b) {
				t.Errorf("%s: %x became %x", what, b, again)
			}
		}
		if s, err := abi.ParseString(b); err == nil {
			same("string", abi.AppendString(nil, s))
		}
		if name, value, err := abi.ParseSend(b); err == nil {
			same("send", abi.AppendSend(nil, name, value))
		}
		if id, err := abi.ParseCancel(b); err == nil {
			same("cancel", abi.AppendCancel(nil, id))
		}
		if alternatives, wait, err := abi.ParseSelect(b); err == nil {
			same("select", abi.AppendSelect(nil, alternatives, wait))
		}
		if chosen, code, body, err := abi.ParseChosen(b); err == nil {
			same("chosen", abi.AppendChosen(nil, chosen, code, body))
		}
		if balance, err := abi.ParseBalance(b); err == nil {
			same("balance", abi.AppendBalance(nil, balance))
		}
		if ref, err := abi.ParseRef(b); err == nil {
			same("ref", abi.AppendRef(nil, ref))
		}
		if ref, peer, err := abi.ParseHandle(b); err == nil {
			same("handle", abi.AppendHandle(nil, ref, peer))
		}
		if code, body, err := abi.ParseReply(b); err == nil {
			same("reply", abi.AppendReply(nil, code, body))
		}
		if id, payload, rest, ok := abi.CutRecord(b); ok {
			same("record", append(abi.AppendRecord(nil, id, payload), rest...))
		}
	})
}

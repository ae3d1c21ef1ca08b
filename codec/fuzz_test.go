package codec_test

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/codec"
)

// targets are what FuzzUnmarshal decodes into.
var targets = []any{
	"", 0, uint8(0), 1.5, 1i, []byte{}, []string{}, []point{}, [3]string{}, map[string]int{}, map[string]map[string]int{},
	point{}, Nums{}, Tree{}, Forest{}, List{}, Outer{}, twins{}, struct{ Name string }{}, struct{ M map[string]int }{},
	[]any{}, map[string]any{}, map[any]any{}, [3]any{}, Empty{}, []Sized{}, map[int]Sized{}, []struct{ A Sized }{},
}

func FuzzUnmarshal(f *testing.F) {
	for _, v := range values() {
		if data := marshal(f, v); len(data) < 2000 {
			f.Add(data)
		}
	}
	for _, test := range forged {
		if len(test.in) < 2000 {
			f.Add([]byte(test.in))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkTarget(t, data, reflect.TypeFor[any]())
		for _, v := range targets {
			checkTarget(t, data, reflect.TypeOf(v))
		}
	})
}

// desynced are the errors of a gob decoder that lost its way.
var desynced = []string{
	"EOF", "exceeds", "corrupted", "too large", "too big", "duplicate type", "length mismatch", "bad data", "extra data",
	"unknown type id", "name too", "invalid type name", "invalid message", "bad interface", "slice length", "integer out of range",
}

// checkTarget checks that what passes verify neither costs gob too much nor
// leads it astray.
func checkTarget(t *testing.T, data []byte, typ reflect.Type) {
	v := reflect.New(typ)
	var err error
	used := allocated(func() { err = codec.Unmarshal(data, v.Interface()) })
	perByte := 256
	if s := fmt.Sprint(typ); strings.Contains(s, "Sized") || strings.Contains(s, "interface") || strings.Contains(s, "Outer") || strings.Contains(s, "List") {
		perByte = 32 << 10 // a map has room for eight of 1.6 kB
	}
	if limit := uint64(2<<20 + perByte*len(data)); used > limit {
		t.Fatalf("%v: %d bytes allocated for %d", typ, used, len(data))
	}
	switch {
	case err == nil:
		again := reflect.New(typ)
		r := bytes.NewReader(data)
		if err := gob.NewDecoder(r).DecodeValue(again); err != nil || r.Len() != 0 {
			t.Fatalf("%v: gob: %v, %d bytes left", typ, err, r.Len())
		}
		// Nil maps in interfaces, say, are none of gob's values.
		_, _ = codec.Marshal(v.Interface(), 1<<20)
	case errors.Is(err, codec.ErrMalformed), errors.Is(err, codec.ErrTooLarge):
	default:
		for _, s := range desynced {
			if strings.Contains(err.Error(), s) && !strings.Contains(err.Error(), "UnmarshalBinary") {
				t.Fatalf("%v: verify passed what gob cannot follow: %v", typ, err)
			}
		}
	}
}

func TestCorporaAreNotEmpty(t *testing.T) {
	for _, name := range []string{"FuzzReadFrame", "FuzzUnmarshal", "FuzzMarshal"} {
		files, err := filepath.Glob(filepath.Join("testdata", "fuzz", name, "*"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s has no corpus, %v", name, err)
		}
		for _, file := range files {
			if b, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(b, []byte("go test fuzz v1\n")) {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

package codec_test

import (
	"bytes"
	"encoding/gob"
	"reflect"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/codec"
)

// BenchmarkUnmarshal is beside its floor, gob alone.
func BenchmarkUnmarshal(b *testing.B) {
	for _, bench := range []struct {
		name string
		v    any
	}{
		{"string64", strings.Repeat("x", 64)},
		{"struct", message{1, "name", []string{"a", "b"}, make([]byte, 64)}},
		{"any", ptr(any(point{1, 2}))},
		{"ints1000", make([]int, 1000)},
		{"points1000", points(1000)},
		{"bytes1M", make([]byte, 1<<20)},
	} {
		data := marshal(b, bench.v)
		typ := reflect.TypeOf(bench.v)
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		b.Run(bench.name+"/gob", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := gob.NewDecoder(bytes.NewReader(data)).Decode(reflect.New(typ).Interface()); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bench.name+"/codec", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := codec.Unmarshal(data, reflect.New(typ).Interface()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func points(n int) []point {
	ps := make([]point, n)
	for i := range ps {
		ps[i] = point{i, -i}
	}
	return ps
}

// BenchmarkMarshal is beside its floor, gob alone.
func BenchmarkMarshal(b *testing.B) {
	var list *Chain
	for range 100 {
		list = &Chain{list}
	}
	for _, bench := range []struct {
		name string
		v    any
	}{
		{"string64", strings.Repeat("x", 64)},
		{"string64K", strings.Repeat("x", 64<<10)},
		{"struct", message{1, "name", []string{"a", "b"}, make([]byte, 64)}},
		{"points1000", points(1000)},
		{"any", ptr(any(point{1, 2}))},
		{"list100", list},
	} {
		b.Run(bench.name+"/gob", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var buf bytes.Buffer
				if err := gob.NewEncoder(&buf).Encode(bench.v); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bench.name+"/codec", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := codec.Marshal(bench.v, 1<<20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type message struct {
	ID   uint64
	Name string
	Args []string
	Body []byte
}

package channel_test

import (
	"bytes"
	"encoding/gob"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/codec"
)

type point struct{ X, Y int }

type tree struct {
	Name     string
	Children []*tree
}

type shape interface{ Area() int }

type square struct{ Side int }

func (s square) Area() int { return s.Side * s.Side }

func register() {
	gob.Register(square{})
	gob.Register(map[string]int{})
}

// roundTrip checks that v comes out of the envelope as want.
func roundTrip[T any](v, want T) func(*testing.T) {
	return func(t *testing.T) {
		register()
		b, err := channel.Envelope(v)
		if err != nil {
			t.Fatal(err)
		}
		if name, _, err := channel.Split(b); err != nil || name != channel.TypeName[T]() {
			t.Errorf("the envelope is of %q, %v", name, err)
		}
		got, err := channel.Take[T](channel.Bytes(b))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%#v came as %#v, %v", v, got, err)
		}
	}
}

func TestValues(t *testing.T) {
	text := "text"
	for name, test := range map[string]func(*testing.T){
		"string":              roundTrip("grüezi", "grüezi"),
		"empty string":        roundTrip("", ""),
		"int":                 roundTrip(math.MinInt, math.MinInt),
		"zero":                roundTrip(0, 0),
		"uint64":              roundTrip(uint64(math.MaxUint64), uint64(math.MaxUint64)),
		"float":               roundTrip(math.Inf(-1), math.Inf(-1)),
		"bool":                roundTrip(true, true),
		"struct":              roundTrip(point{1, -2}, point{1, -2}),
		"zero struct":         roundTrip(point{}, point{}),
		"pointer":             roundTrip(&point{3, 4}, &point{3, 4}),
		"pointer to string":   roundTrip(&text, &text),
		"tree":                roundTrip(tree{"a", []*tree{{Name: "b"}, {Name: "c"}}}, tree{"a", []*tree{{Name: "b"}, {Name: "c"}}}),
		"map":                 roundTrip(map[string][]int{"a": {1}, "b": {2, 3}}, map[string][]int{"a": {1}, "b": {2, 3}}),
		"empty map":           roundTrip(map[string]int{}, map[string]int{}),
		"nil map is empty":    roundTrip(map[string]int(nil), map[string]int{}),
		"slice":               roundTrip([]string{"a", ""}, []string{"a", ""}),
		"array":               roundTrip([2]bool{true, false}, [2]bool{true, false}),
		"bytes":               roundTrip([]byte{0, 255}, []byte{0, 255}),
		"empty bytes":         roundTrip([]byte{}, []byte{}),
		"nil bytes are empty": roundTrip([]byte(nil), []byte{}),
		"slice of bytes":      roundTrip([][]byte{{1}, {2}}, [][]byte{{1}, {2}}),
		"nil any":             roundTrip[any](nil, nil),
		"any of a string":     roundTrip(any("x"), any("x")),
		"any of a map":        roundTrip(any(map[string]int{"a": 1}), any(map[string]int{"a": 1})),
		"interface":           roundTrip(shape(square{3}), shape(square{3})),
	} {
		t.Run(name, test)
	}
}

// Gob has one form for a slice that is empty and one that is nil.
func TestNilSlice(t *testing.T) {
	for _, v := range [][]int{nil, {}} {
		b, err := channel.Envelope(v)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := channel.Take[[]int](channel.Bytes(b)); len(got) != 0 || err != nil {
			t.Errorf("%#v came as %#v, %v", v, got, err)
		}
	}
}

func TestUnencodable(t *testing.T) {
	type hidden struct{ x int }
	var nobody *point
	for name, encode := range map[string]func() ([]byte, error){
		"func":                func() ([]byte, error) { return channel.Envelope(func() {}) },
		"chan":                func() ([]byte, error) { return channel.Envelope(make(chan int)) },
		"struct of nothing":   func() ([]byte, error) { return channel.Envelope(hidden{1}) },
		"nil pointer":         func() ([]byte, error) { return channel.Envelope(nobody) },
		"nil pointer to text": func() ([]byte, error) { return channel.Envelope((*string)(nil)) },
		"pointer to nil":      func() ([]byte, error) { return channel.Envelope(&nobody) },
		"any not registered":  func() ([]byte, error) { return channel.Envelope(any(point{})) },
	} {
		b, err := encode()
		if err == nil {
			t.Errorf("%s: encoded as %q", name, b)
		} else if errors.Is(err, channel.ErrTooLarge) || !strings.Contains(err.Error(), "encode") {
			t.Errorf("%s: the error is not clear: %v", name, err)
		}
	}
}

func TestMaxValue(t *testing.T) {
	head := len(channel.TypeName[[]byte]()) + 1
	for _, test := range []struct {
		over int
		want error
	}{{-1, nil}, {0, nil}, {1, channel.ErrTooLarge}} {
		v := make([]byte, channel.MaxValue-head+test.over)
		b, err := channel.Envelope(v)
		if !errors.Is(err, test.want) || err == nil && len(b) != channel.MaxValue+test.over {
			t.Errorf("bytes, %+d: %d bytes, %v", test.over, len(b), err)
		}
	}
	// The overhead of gob for a string does not change from 16 MiB on, which fits.
	b, err := channel.Envelope(strings.Repeat("x", 16<<20))
	if err != nil {
		t.Fatal(err)
	}
	fits := channel.MaxValue - (len(b) - 16<<20)
	for _, test := range []struct {
		size int
		want error
	}{{fits, nil}, {fits + 1, channel.ErrTooLarge}} {
		b, err := channel.Envelope(strings.Repeat("x", test.size))
		if !errors.Is(err, test.want) || err == nil && len(b) != channel.MaxValue {
			t.Errorf("string of %d: %d bytes, %v", test.size, len(b), err)
		}
	}
}

// wrongType checks that a value of type T cannot be received as a U.
func wrongType[T, U any](v T) func(*testing.T) {
	return func(t *testing.T) {
		b, err := channel.Envelope(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := channel.Take[U](channel.Bytes(b))
		var wrong *channel.TypeError
		if !errors.As(err, &wrong) || !errors.Is(err, channel.ErrType) {
			t.Fatalf("received %#v, %v", got, err)
		}
		if wrong.Want != channel.TypeName[U]() || wrong.Got != channel.TypeName[T]() {
			t.Errorf("want %q, got %q", wrong.Want, wrong.Got)
		}
		for _, name := range []string{wrong.Want, wrong.Got} {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%q is not named: %v", name, err)
			}
		}
		if !reflect.ValueOf(&got).Elem().IsZero() {
			t.Errorf("something came with the error: %#v", got)
		}
	}
}

func TestWrongType(t *testing.T) {
	t.Run("string as int", wrongType[string, int]("1"))
	t.Run("int as string", wrongType[int, string](1))
	t.Run("bytes as string", wrongType[[]byte, string]([]byte("text")))
	t.Run("string as bytes", wrongType[string, []byte]("text"))
	t.Run("struct as string", wrongType[point, string](point{1, 2}))
	t.Run("struct as bytes", wrongType[point, []byte](point{1, 2}))
	t.Run("struct as another", wrongType[point, greeting](point{1, 2}))
	t.Run("struct as any", wrongType[point, any](point{1, 2}))
	t.Run("slice with a wrong element", wrongType[[]string, []int]([]string{"a"}))
	t.Run("number that does not fit", wrongType[int, int8](1000))
}

func FuzzSplit(f *testing.F) {
	for _, v := range []any{"text", point{1, 2}, []string{"a"}} {
		b, err := channel.Envelope(v)
		if err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		name, data, err := channel.Split(b)
		if err != nil {
			if !errors.Is(err, codec.ErrMalformed) {
				t.Error(err)
			}
			return
		}
		again := append([]byte{}, byte(len(name)))
		if len(name) > 127 {
			again = []byte{byte(len(name)) | 0x80, 1}
		}
		if again = append(append(again, name...), data...); !bytes.Equal(again, b) || len(name) > channel.MaxType {
			t.Errorf("%q was taken for a %q, %q", b, name, data)
		}
		// Whatever they are decoded as: no panic, and an error of one kind.
		check(t, b, channel.Take[string])
		check(t, b, channel.Take[int])
		check(t, b, channel.Take[[]byte])
		check(t, b, channel.Take[map[string]point])
		check(t, b, channel.Take[any])
		check(t, b, channel.Take[tree])
	})
}

func check[T any](t *testing.T, b []byte, take func(channel.Payload) (T, error)) {
	v, err := take(channel.Bytes(b))
	if err != nil && (!errors.Is(err, channel.ErrType) || !reflect.ValueOf(&v).Elem().IsZero()) {
		t.Errorf("%q came as %#v, %v", b, v, err)
	}
}

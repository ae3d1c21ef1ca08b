package codec_test

import (
	"bytes"
	"encoding/gob"
	"errors"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/codec"
)

func TestMain(m *testing.M) {
	registerTypes()
	os.Exit(m.Run())
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := codec.Marshal(v, 1<<30)
	if err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	return data
}

// sameAsGob checks that Unmarshal decodes data into a typ as gob alone does.
func sameAsGob(t testing.TB, data []byte, typ reflect.Type) {
	t.Helper()
	want, got := reflect.New(typ), reflect.New(typ)
	if err := gob.NewDecoder(bytes.NewReader(data)).DecodeValue(want); err != nil {
		t.Fatalf("gob: %v: %v", typ, err)
	}
	if err := codec.Unmarshal(data, got.Interface()); err != nil {
		t.Fatalf("%v\n%x", err, data)
	}
	if !reflect.DeepEqual(got.Elem().Interface(), want.Elem().Interface()) {
		t.Fatalf("%v: got %v, want %v", typ, got.Elem(), want.Elem())
	}
}

func TestUnmarshalEveryKind(t *testing.T) {
	for _, v := range values() {
		typ := reflect.TypeOf(v)
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		data := marshal(t, v)
		sameAsGob(t, data, typ)
		sameAsGob(t, data, reflect.PointerTo(typ))
	}
}

func TestUnmarshalRandomTypes(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 200
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := generator{Rand: rand.New(rand.NewPCG(seed, 0))}
	for range n {
		typ := g.typ(4)
		v := reflect.New(typ)
		g.fill(v.Elem(), 7)
		sameAsGob(t, marshal(t, v.Interface()), typ)
	}
}

func TestUnmarshalCutShortOrLonger(t *testing.T) {
	for _, v := range values() {
		data := marshal(t, v)
		if len(data) > 10000 {
			continue
		}
		target := func() any { return reflect.New(reflect.TypeOf(v)).Interface() }
		for n := range data {
			if err := codec.Unmarshal(data[:n], target()); !errors.Is(err, codec.ErrMalformed) {
				t.Errorf("%T: %d of %d bytes: %v", v, n, len(data), err)
			}
		}
		if err := codec.Unmarshal(append(data, 0), target()); !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("%T: a byte more: %v", v, err)
		}
		if err := codec.Unmarshal(append(data, data...), target()); !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("%T: twice: %v", v, err)
		}
	}
}

func TestMarshalErrors(t *testing.T) {
	data := marshal(t, "text")
	if _, err := codec.Marshal("text", len(data)); err != nil {
		t.Error(err)
	}
	if _, err := codec.Marshal("text", len(data)-1); !errors.Is(err, codec.ErrTooLarge) {
		t.Error(err)
	}
	for _, v := range []any{nil, (*point)(nil), make(chan int), struct{ a int }{}} {
		if _, err := codec.Marshal(v, 100); err == nil {
			t.Errorf("%T was encoded", v)
		}
	}
}

func TestUnmarshalTarget(t *testing.T) {
	for _, v := range []any{nil, "", (*string)(nil)} {
		if err := codec.Unmarshal(marshal(t, "text"), v); err == nil {
			t.Errorf("decoded into %T", v)
		}
	}
	if err := codec.Unmarshal(marshal(t, "text"), new(int)); err == nil || errors.Is(err, codec.ErrMalformed) {
		t.Errorf("a string into an int: %v", err)
	}
	if err := codec.Unmarshal(marshal(t, ptr(any(point{}))), new(any)); err != nil {
		t.Error(err)
	}
	// Fields that the receiver lacks are skipped.
	sent := struct {
		A    map[string]any
		Name string
		Z    List
		T    time.Time
	}{map[string]any{"a": point{1, 2}}, "n", List{V: Tree{}, Next: &List{V: 1}}, time.Unix(1, 0)}
	var got struct{ Name string }
	if err := codec.Unmarshal(marshal(t, sent), &got); err != nil || got.Name != "n" {
		t.Error(got, err)
	}
}

func TestUnmarshalPanickingType(t *testing.T) {
	for n, want := range map[byte]error{2: nil, 3: codec.ErrMalformed} {
		if err := codec.Unmarshal(marshal(t, Panics{n}), new(Panics)); !errors.Is(err, want) {
			t.Errorf("%d: %v", n, err)
		}
	}
}

// forgedMemory is a stream of n elements, a byte each, that become 1.6 kB each.
func forgedMemory(t *testing.T, n int) []byte {
	return marshal(t, make([]struct{ A, B *Sized }, n))
}

func TestUnmarshalBoundsMemory(t *testing.T) {
	fits := codec.MaxMemory / int(reflect.TypeFor[Sized]().Size())
	if err := codec.Unmarshal(forgedMemory(t, 1000), new([]struct{ A Sized })); err != nil {
		t.Error(err)
	}
	data := forgedMemory(t, fits+1)
	used := allocated(func() {
		if err := codec.Unmarshal(data, new([]struct{ A Sized })); !errors.Is(err, codec.ErrTooLarge) {
			t.Errorf("slice: %v", err)
		}
	})
	if used > 4<<20 {
		t.Errorf("%d bytes were allocated before it was refused", used)
	}
	big := make(map[int]struct{ A *Sized })
	for i := range fits / 2 {
		big[i] = struct{ A *Sized }{}
	}
	if err := codec.Unmarshal(marshal(t, big), new(map[int]struct{ A Sized })); !errors.Is(err, codec.ErrTooLarge) {
		t.Errorf("map: %v", err)
	}
}

func TestUnmarshalBoundsDepth(t *testing.T) {
	for depth, want := range map[int]error{codec.MaxDepth: nil, codec.MaxDepth + 2: codec.ErrTooLarge} {
		node := structOf(65, "Next", 65)
		list := node + value(65, strings.Repeat("\x01", depth-1)+strings.Repeat("\x00", depth))
		if err := codec.Unmarshal([]byte(list), new(Chain)); !errors.Is(err, want) {
			t.Errorf("list of %d: %v", depth, err)
		}
		forest := sliceOf(65, 65) + value(65, "\x00"+strings.Repeat("\x01", depth-1)+"\x00")
		if err := codec.Unmarshal([]byte(forest), new(Forest)); !errors.Is(err, want) {
			t.Errorf("forest of %d: %v", depth, err)
		}
	}
}

func TestUnmarshalUnregistered(t *testing.T) {
	data := bytes.Replace(marshal(t, ptr(any(point{1, 2}))), []byte("codec_test.point"), []byte("codec_test.other"), 1)
	if err := codec.Unmarshal(data, new(any)); err == nil || !strings.Contains(err.Error(), "not registered") {
		t.Error(err)
	}
}

package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/codec"
)

type (
	Pair struct{ L, R *Pair }
	Self *Self
	// Half encodes itself, and does not decode itself.
	Half   struct{ N int }
	Halves struct {
		Name string
		Half *Half
	}
	// Other decodes itself, and does not encode itself.
	Other struct{ N int }
	// Mixed encodes itself in one way, and decodes itself in another.
	Mixed struct{ N int }
	Knot  struct {
		Next *Strand
		Half Half
	}
	Strand struct{ Knot *Knot }
)

func (Half) GobEncode() ([]byte, error)      { return []byte{1}, nil }
func (*Other) UnmarshalBinary([]byte) error  { return nil }
func (Mixed) MarshalBinary() ([]byte, error) { return []byte{1}, nil }
func (*Mixed) GobDecode([]byte) error        { return nil }

func chain(n int) *Chain {
	var c *Chain
	for range n {
		c = &Chain{c}
	}
	return c
}

// wideType is 4 KiB in memory, and a byte on the wire where all its fields are
// empty.
var wideType = func() reflect.Type {
	fields := make([]reflect.StructField, 256)
	for i := range fields {
		fields[i] = reflect.StructField{Name: fmt.Sprint("F", i), Type: reflect.TypeFor[string]()}
	}
	return reflect.StructOf(fields)
}()

// wideValues returns a slice of n pointers to one value, which the receiver gets
// as n values.
func wideValues(n uintptr) any {
	one := reflect.New(wideType)
	s := reflect.MakeSlice(reflect.SliceOf(one.Type()), int(n), int(n))
	for i := range int(n) {
		s.Index(i).Set(one)
	}
	return s.Interface()
}

// row is what a table has many of.
type row struct{ A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T string }

// TestMarshalWhatProgramsHold sends what an ordinary program may have.
func TestMarshalWhatProgramsHold(t *testing.T) {
	table := map[int]row{}
	for i := range 20_000 {
		table[i] = row{}
	}
	for _, v := range []any{
		chain(5000), chain(codec.MaxDepth), make([]row, 20_000), table, new([20_000]row), make([][]row, 100_000),
		make([]map[string]int, 100_000), make([][20]row, 2000),
	} {
		typ := reflect.TypeOf(v)
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		sameAsGob(t, marshal(t, v), typ)
	}
}

func TestMarshalLimits(t *testing.T) {
	circle := &Chain{}
	circle.Next = circle
	var any1 any
	any1 = []any{&any1}
	m := map[string]any{}
	m["m"] = m
	forest := Forest{nil}
	forest[0] = forest
	double := &Pair{}
	for range 64 {
		double = &Pair{double, double} // 2^64 when it is written out
	}
	deep := any(1)
	for range codec.MaxDepth {
		deep = map[string]any{"": deep}
	}
	wides := wideValues(codec.MaxMemory/wideType.Size() + 1)
	for name, v := range map[string]any{
		"list that ends in itself": circle, "any in itself": &any1, "map in itself": m, "slice in itself": forest,
		"parts that come again": double, "list too long": chain(codec.MaxDepth + 2), "maps too deep": deep,
		"memory": wides, "memory in a struct": struct{ W any }{wides}, "memory in any": []any{wides},
	} {
		_, err := codec.Marshal(v, 1<<20)
		if !errors.Is(err, codec.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for says, v := range map[string]any{
		"10000": circle, "268435456": wides, "1048576": double,
	} {
		if _, err := codec.Marshal(v, 1<<20); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the limit %s is not named: %v", says, err)
		}
	}
}

// TestMarshalUndecodable tries types that gob encodes and cannot decode.
func TestMarshalUndecodable(t *testing.T) {
	var self Self
	self = &self
	for _, v := range []any{
		self, Half{1}, []Half{{1}}, map[string]*Half{}, Halves{Name: "n"}, Other{1}, struct{ O []Other }{}, Mixed{1},
		Strand{}, Knot{}, []any{Half{1}}, struct{ S []Strand }{},
	} {
		if _, err := codec.Marshal(v, 1<<20); err == nil || !strings.Contains(err.Error(), "encode") {
			t.Errorf("%T: %v", v, err)
		}
	}
}

// A byteSource takes the top bits of its numbers, which decide, from the bytes of
// a fuzzer. After the last they are zero.
type byteSource struct {
	choices *bytes.Reader
	low     *rand.PCG
}

func (s byteSource) Uint64() uint64 {
	b, _ := s.choices.ReadByte()
	return uint64(b)<<56 | s.low.Uint64()>>8
}

// FuzzMarshal makes a type and a value of it: what Marshal accepts, Unmarshal
// accepts.
func FuzzMarshal(f *testing.F) {
	for seed := range uint64(64) {
		r := rand.New(rand.NewPCG(seed, 1))
		choices := make([]byte, 16+r.IntN(1000))
		for i := range choices {
			choices[i] = byte(r.Uint32())
		}
		f.Add(choices)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		checkAccepted(t, generator{Rand: rand.New(byteSource{bytes.NewReader(choices), rand.NewPCG(1, 1)})})
	})
}

func TestMarshalRandomValues(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 200
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := generator{Rand: rand.New(rand.NewPCG(seed, 2))}
	accepted := 0
	for range n {
		if checkAccepted(t, g) {
			accepted++
		}
	}
	if accepted < n/2 {
		t.Errorf("only %d of %d values were accepted", accepted, n)
	}
}

func checkAccepted(t *testing.T, g generator) bool {
	t.Helper()
	g.odd = true
	typ := g.typ(4)
	v := reflect.New(typ)
	g.fill(v.Elem(), 7)
	// The second time less is checked: see facts.
	for range 2 {
		data, err := codec.Marshal(v.Interface(), 16<<20)
		if err != nil {
			return false
		}
		if err := codec.Unmarshal(data, reflect.New(typ).Interface()); err != nil {
			t.Fatalf("%v: %v\n%x", typ, err, data)
		}
	}
	return true
}

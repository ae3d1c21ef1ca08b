package codec_test

import (
	"encoding/gob"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"time"
)

type (
	point  struct{ X, Y int }
	Tree   struct{ Kids []Tree }
	Forest []Forest
	List   struct {
		V    any
		Next *List
	}
	Chain struct{ Next *Chain }
	Base  struct{ ID string }
	Outer struct {
		Base
		*point
		Name   string
		At     time.Time
		When   *time.Time
		Any    any
		Anys   []any
		Map    map[string]any
		Deep   map[point][]map[string]*Base
		Fixed  [3]any
		Bytes  []byte
		Raw    [4]byte
		Texts  []Celsius
		Addr   netip.Addr
		Funcs  func()
		hidden int
	}
	Celsius float64
	Empty   struct{}
	Nums    struct {
		I8  int8
		I64 int64
		U   uint
		U16 uint16
		Up  uintptr
		F32 float32
		F   float64
		C64 complex64
		C   complex128
		B   bool
		P   *int
		PP  **string
	}
	Sized [200]uint64
	// Panics has a decoder that trusts its bytes.
	Panics struct{ N byte }
)

// Celsius is text to people and to gob what its kind is.
func (c Celsius) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%gC", float64(c)), nil }

func (p Panics) GobEncode() ([]byte, error) { return []byte{p.N}, nil }

func (p *Panics) GobDecode(b []byte) error {
	if len(b) == 0 {
		return errors.New("empty")
	}
	p.N = []byte{1, 2, 3}[b[0]]
	return nil
}

func registerTypes() {
	for _, v := range []any{
		point{}, &Tree{}, Forest{}, List{}, Outer{}, Empty{}, Nums{}, Celsius(0), time.Time{}, &big.Int{}, Sized{},
		[]any{}, map[string]any{}, map[any]any{}, [2]any{}, [2]time.Time{}, [2]point{}, []time.Time{}, [][]point{},
		[2][2]List{}, map[string]point{}, netip.Addr{},
	} {
		gob.Register(v)
	}
	gob.RegisterName("wide", wideValues(0))
}

func ptr[T any](v T) *T { return &v }

// values returns values of every kind that gob knows.
func values() []any {
	now := time.Date(2025, 3, 1, 12, 0, 0, 5, time.UTC)
	list := &List{}
	for range 200 {
		list = &List{V: list.V, Next: list}
	}
	var nested any = 1
	for i := range 20 {
		switch i % 4 {
		case 0:
			nested = []any{nil, nested, "x"}
		case 1:
			nested = map[string]any{"k": nested, "n": nil}
		case 2:
			nested = List{V: nested, Next: &List{V: point{i, i}}}
		case 3:
			nested = [2]any{nested, nil}
		}
	}
	var nilAny any
	var nilPoint *Base
	return []any{
		true, int8(-5), 1 << 60, uint64(math.MaxUint64), uintptr(7), float32(1.5), math.Inf(1), 2i, complex64(1 + 2i),
		"", "text", strings.Repeat("long", 1000), []byte{}, []byte("bytes"), make([]byte, 1<<20), Celsius(20),
		[]int{}, []int{1, -200, 1 << 40}, []string{"a", ""}, [3]string{"", "b", ""}, [0]int{}, []bool{true, false},
		[][]byte{nil, {1}}, []complex128{1, 2i}, []Celsius{1, 2}, [4]byte{1, 2, 3, 255}, map[string]int{}, map[int]bool{1: true, 2: false},
		map[[2]int]map[string][]float64{{1, 2}: {"a": {1, 2}}, {}: nil}, map[Celsius]struct{ A int }{1: {2}},
		Empty{}, []Empty{{}, {}}, struct{ E, F Empty }{}, Nums{}, Nums{-1, 1, 2, 3, 4, 5, 6, 7, 8i, true, ptr(1), ptr(ptr("x"))},
		Base{}, Tree{}, Tree{[]Tree{{}, {[]Tree{{}}}}}, Forest{{}, {{}, {}}, nil}, *list, &nilPoint,
		now, &now, []time.Time{now, {}}, map[string]*big.Int{"a": big.NewInt(1 << 60)}, [2]time.Time{now}, netip.MustParseAddr("::1"),
		&nilAny, ptr(any(1)), ptr(any("s")), ptr(any(point{1, 2})), ptr(any(&Tree{[]Tree{{}}})), ptr(any(now)), ptr(any([2]time.Time{now})),
		ptr(any([]byte{1})), ptr(any(big.NewInt(5))), ptr(any(Celsius(3))), ptr(any(3i)), ptr(any([2]point{{1, 2}})),
		ptr(any([2][2]List{{{V: 1}}})), ptr(any([][]point{{{1, 2}}, nil})), ptr(any(Sized{1})), ptr(any(Empty{})), ptr(any(Nums{C: 1})),
		&nested, []any{nil, 1, "a", nil, point{}, nested, nested}, map[string]any{"a": nil, "b": nested},
		map[any]any{1: "a", "b": nil, point{1, 2}: map[any]any{3i: nil}}, [2]any{nil, nested}, []fmt.Stringer{now, nil, netip.Addr{}},
		Outer{
			Base: Base{"id"}, point: &point{1, 2}, Name: "n", At: now, When: &now, Any: Outer{Any: nested, Anys: []any{nil, now}},
			Anys: []any{nil, point{}, List{}}, Map: map[string]any{"x": nested, "n": nil}, Deep: map[point][]map[string]*Base{{}: {{"a": {"b"}}}},
			Fixed: [3]any{nil, nested}, Bytes: []byte("b"), Raw: [4]byte{1}, Texts: []Celsius{1}, hidden: 1, Addr: netip.MustParseAddr("1.2.3.4"),
		},
	}
}

// A generator makes types and values that gob can encode.
type generator struct {
	*rand.Rand
	odd bool // types that encode only, values that contain themselves or nil
}

func (g generator) typ(depth int) reflect.Type {
	if g.odd && g.IntN(20) == 0 {
		odd := []any{Half{}, Other{}, Mixed{}, Knot{}, Strand{}, Pair{}, Chain{}, row{}, make(chan int), func() {}, struct{ a int }{}}
		return reflect.TypeOf(odd[g.IntN(len(odd))])
	}
	if depth == 0 || g.IntN(5) == 0 {
		leaves := []any{false, 0, int8(0), uint32(0), 1.5, float32(0), 1i, "", []byte{}, time.Time{}, point{}, List{}, Celsius(0), Tree{}, Nums{}, Empty{}}
		if i := g.IntN(len(leaves) + 3); i < len(leaves) {
			return reflect.TypeOf(leaves[i])
		}
		return reflect.TypeFor[any]()
	}
	switch g.IntN(5) {
	case 0:
		return reflect.SliceOf(g.typ(depth - 1))
	case 1:
		return reflect.ArrayOf(g.IntN(4), g.typ(depth-1))
	case 2:
		keys := []any{0, "", point{}, [2]int8{}, Celsius(0), uint8(0), true}
		return reflect.MapOf(reflect.TypeOf(keys[g.IntN(len(keys))]), g.typ(depth-1))
	default:
		fields := make([]reflect.StructField, 1+g.IntN(5))
		for i := range fields {
			t := g.typ(depth - 1)
			if g.IntN(4) == 0 {
				t = reflect.PointerTo(t)
			}
			fields[i] = reflect.StructField{Name: fmt.Sprint("F", i), Type: t}
		}
		return reflect.StructOf(fields)
	}
}

// dynamic returns a value for an interface.
func (g generator) dynamic(depth int) any {
	types := []any{0, "", []byte{}, 1i, point{}, &Tree{}, Forest{}, List{}, Nums{}, time.Time{}, []any{}, map[string]any{}, [2]any{}, [2]time.Time{}, [2]point{}, [2][2]List{}, [][]point{}, Celsius(0)}
	v := reflect.New(reflect.TypeOf(types[g.IntN(len(types))])).Elem()
	g.fill(v, depth)
	return v.Interface()
}

// fill sets v to a random value. Only fields may be nil pointers.
func (g generator) fill(v reflect.Value, depth int) {
	if t, ok := v.Addr().Interface().(*time.Time); ok {
		*t = time.Unix(g.Int64N(1<<33), 0).UTC()
		return
	}
	n := 0
	if depth > 0 {
		n = g.IntN(4)
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(g.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int64:
		v.SetInt(g.Int64() >> g.IntN(64))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uintptr:
		v.SetUint(g.Uint64() >> g.IntN(64))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(g.IntN(100)) / 8)
	case reflect.Complex64, reflect.Complex128:
		v.SetComplex(complex(float64(g.IntN(9)), 1))
	case reflect.String:
		v.SetString(strings.Repeat("s", g.IntN(200)>>g.IntN(8)))
	case reflect.Interface:
		if depth > 0 && g.IntN(3) > 0 {
			v.Set(reflect.ValueOf(g.dynamic(depth - 1)))
		}
	case reflect.Pointer:
		if g.odd && g.IntN(20) == 0 {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		g.fill(v.Elem(), depth-1)
	case reflect.Slice:
		if g.odd && n > 0 && g.IntN(20) == 0 {
			n = 1 << g.IntN(12)
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		if g.odd && n > 3 {
			return // zeros
		}
		if g.odd && n > 0 && v.Type() == v.Type().Elem() && g.IntN(4) == 0 {
			v.Index(0).Set(v)
			return
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			g.fill(v.Index(i), depth-1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range n {
			k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			g.fill(k, depth-1)
			g.fill(e, depth-1)
			v.SetMapIndex(k, e)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && (f.Kind() != reflect.Pointer || depth > 0 && g.IntN(2) == 0) {
				g.fill(f, depth-1)
			}
		}
	}
}

package codec_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/codec"
)

// Gob streams by hand. The predefined ids are in encoding/gob's documentation.
const (
	intID, stringID, anyID = 2, 6, 8
	arrayT, sliceT         = "\x01", "\x02"
	structT, mapT          = "\x03", "\x04"
)

func num(u uint64) string {
	if u < 0x80 {
		return string([]byte{byte(u)})
	}
	var b []byte
	for ; u > 0; u >>= 8 {
		b = append([]byte{byte(u)}, b...)
	}
	return string([]byte{byte(-len(b))}) + string(b)
}

func id(i int) string              { return num(uint64(i) << 1) }
func text(s string) string         { return num(uint64(len(s))) + s }
func value(i int, v string) string { return text(id(i) + v) }

// define returns the message that defines type i: its wireType's field, and
// the fields after the CommonType in that.
func define(i int, what, fields string) string {
	return text(num(uint64(i-1)<<1|1) + what + fields + "\x00\x00")
}

func sliceOf(i, elem int) string    { return define(i, sliceT, "\x02"+id(elem)) }
func mapOf(i, key, elem int) string { return define(i, mapT, "\x02"+id(key)+"\x01"+id(elem)) }
func arrayOf(i, elem, n int) string { return define(i, arrayT, "\x02"+id(elem)+"\x01"+id(n)) }

func structOf(i int, fields ...any) string {
	var b strings.Builder
	for f := 0; f < len(fields); f += 2 {
		b.WriteString("\x01" + text(fields[f].(string)) + "\x01" + id(fields[f+1].(int)) + "\x00")
	}
	return define(i, structT, "\x02"+num(uint64(len(fields)/2))+b.String())
}

type (
	twin  = struct{ M map[string]map[string]int }
	twins struct{ A, B twin }

	cousin struct {
		A twin
		B struct{ C twin }
	}
)

// forged are streams that Marshal does not write, by what is wrong with them.
var forged = []struct {
	name   string
	in     string
	target any
	want   error
}{
	{"empty", "", new(string), codec.ErrMalformed},
	{"empty message", "\x00\x00", new(string), codec.ErrMalformed},
	{"message of 8 EB", "\xf8\x7f\xff\xff\xff\xff\xff\xff\xff", new(string), codec.ErrMalformed},
	{"string past its message", value(stringID, "\x00\x05abc"), new(string), codec.ErrMalformed},
	{"string past the stream", value(stringID, "\x00\xf8\x7f\xff\xff\xff\xff\xff\xff\xff"), new(string), codec.ErrMalformed},
	{"number in too many bytes", value(intID, "\x00\xff\x05"), new(int), codec.ErrMalformed},
	{"number with a leading zero", value(intID, "\x00\xfe\x00\xff"), new(int), codec.ErrMalformed},
	{"number of nine bytes", value(intID, "\x00\xf7123456789"), new(int), codec.ErrMalformed},
	{"no zero before", value(intID, "\x01\x02"), new(int), codec.ErrMalformed},
	{"type id of 33 bits", text("\xfb\x02\x00\x00\x00\x04\x00\x02"), new(int), codec.ErrMalformed},
	{"value of an unknown type", value(70, "\x00"), new(point), codec.ErrMalformed},
	{"value of a type of gob's", value(16, "\x00"), new(point), codec.ErrMalformed},
	{"definition alone", sliceOf(65, intID), new([]int), codec.ErrMalformed},
	{"definition of a predefined type", sliceOf(63, intID) + value(63, "\x00\x00"), new([]int), codec.ErrMalformed},
	{"definition twice", sliceOf(65, intID) + sliceOf(65, intID) + value(65, "\x00\x00"), new([]int), codec.ErrMalformed},
	{"definition as two kinds", text("\xff\x81"+sliceT+"\x02\x04\x00"+"\x01\x00"+"\x00") + value(65, "\x00\x00"), new([]int), codec.ErrMalformed},
	{"definition and value in one message", text("\xff\x81" + sliceT + "\x02\x04\x00\x00" + value(65, "\x00\x00")), new([]int), codec.ErrMalformed},
	{"bytes after the value in its message", value(intID, "\x00\x02\x02"), new(int), codec.ErrMalformed},
	{"definition as none", text("\xff\x81\x00") + value(65, "\x00\x00"), new([]int), codec.ErrMalformed},
	{"definition with more", text("\xff\x81"+sliceT+"\x02\x04\x00\x00"+"x") + value(65, "\x00\x00"), new([]int), codec.ErrMalformed},
	{"definition with a field too many", define(65, sliceT, "\x02\x04\x01\x04") + value(65, "\x00\x00"), new([]int), codec.ErrMalformed},
	{"definition with forged fields", define(65, structT, "\x02\xf8\x7f\xff\xff\xff\xff\xff\xff\xff") + value(65, "\x00"), new(point), codec.ErrMalformed},
	{"field without a name", structOf(65, "", intID) + value(65, "\x00"), new(point), codec.ErrMalformed},
	{"array of negative length", define(65, arrayT, "\x02\x04\x01\x01") + value(65, "\x00\x00"), new([1]int), codec.ErrMalformed},
	{"array with fewer elements", arrayOf(65, intID, 3) + value(65, "\x00\x02\x02\x02"), new([3]int), codec.ErrMalformed},
	{"map of 2 G", mapOf(65, stringID, intID) + value(65, "\x00\xfc\x7f\xff\xff\xff"), new(map[string]int), codec.ErrMalformed},
	{"map of 2 E", mapOf(65, stringID, intID) + value(65, "\x00\xf8\x20\x00\x00\x00\x00\x00\x00\x00"), new(map[string]int), codec.ErrMalformed},
	{"map of -1", mapOf(65, stringID, intID) + value(65, "\x00\xf8\xff\xff\xff\xff\xff\xff\xff\xff"), new(map[string]int), codec.ErrMalformed},
	{"slice of 1 M", sliceOf(65, stringID) + value(65, "\x00\xfd\x10\x00\x00"), new([]string), codec.ErrMalformed},
	{"slices of 1 M in each other", recursiveSlices(), new(Forest), codec.ErrMalformed},
	{"fields of 2 G", structOf(65, "X", intID) + value(65, "\xfc\x7f\xff\xff\xff\x02\x00"), new(point), codec.ErrMalformed},
	{"struct without an end", structOf(65, "X", intID) + value(65, "\x01\x02"), new(point), codec.ErrMalformed},
	{"element of an unknown type", sliceOf(65, 70) + value(65, "\x00\x00"), new([]int), codec.ErrMalformed},
	{"interface name past the stream", value(anyID, "\x00\xfc\x7f\xff\xff\xff"), new(any), codec.ErrMalformed},
	{"interface value past the stream", value(anyID, "\x00"+text("int")+id(intID)+"\x50\x00\x02"), new(any), codec.ErrMalformed},
	{"map of 2 G in an interface", mapOf(65, stringID, anyID) + value(anyID, "\x00"+text("map[string]interface {}")+id(65)+"\x06\x00\xfc\x7f\xff\xff\xff"), new(any), codec.ErrMalformed},
	// Gob skips a nil in a field that the receiver lacks as if it were not
	// nil, and so reads the map's count inside what the sender calls a string.
	{"map of 2 G behind an ignored nil", structOf(65, "L", 66, "M", 67) + sliceOf(66, anyID) + mapOf(67, stringID, intID) +
		value(65, "\x01\x01\x00"+"\x01\x01"+text("\x02\xfc\x7f\xff\xff\xff")+"\x00"+"\x00"), new(struct{ M map[string]int }), codec.ErrMalformed},
	// Gob decodes B as the type of A, because their receivers are one type.
	{"map of 2 G as another type", structOf(65, "A", 66, "B", 67) + structOf(66, "M", 68) + structOf(67, "M", stringID) +
		mapOf(68, stringID, 69) + mapOf(69, stringID, intID) +
		value(65, "\x01\x00"+"\x01\x01"+text("\x01a\xfc\x7f\xff\xff\xff")+"\x00"+"\x00"), new(twins), nil},
	// And does not where they are not in the same struct.
	{"map of 2 G as another type of another struct", structOf(65, "A", 66, "B", 67) + structOf(66, "Z", stringID) + structOf(67, "C", 68) + structOf(68, "M", 69) +
		mapOf(69, stringID, 70) + mapOf(70, stringID, intID) +
		value(65, "\x01\x00"+"\x01\x01\x01"+text("\x01a\xfc\x7f\xff\xff\xff")+"\x00\x00\x00"), new(cousin), nil},
	{"types nested in types", nestedTypes(2000), new(struct{}), codec.ErrMalformed},
	{"fields that all have long types", wideTypes(500, 500), new(struct{}), codec.ErrTooLarge},
	{"array of 1 G in an interface", arrayOf(65, 66, 1<<30) + structOf(66) + value(anyID, "\x00"+text("unknown")+id(65)+"\x01\x00"), new(any), codec.ErrMalformed},
	{"arrays of 1 G in each other, in an interface", arrayOf(65, 65, 1<<30) + value(anyID, "\x00"+text("unknown")+id(65)+"\x01\x00"), new(any), codec.ErrMalformed},
}

func recursiveSlices() string {
	return sliceOf(65, 65) + value(65, "\x00"+strings.Repeat("\xfd\x10\x00\x00", 300))
}

func nestedTypes(n int) string {
	in := structOf(65, "A", 66)
	for i := range n {
		in += sliceOf(66+i, 67+i)
	}
	return in + sliceOf(66+n, intID) + value(65, "\x00")
}

func wideTypes(n, depth int) string {
	fields := make([]any, 2*n)
	for i := range n {
		fields[2*i], fields[2*i+1] = fmt.Sprint("F", i), 66
	}
	in := structOf(65, fields...)
	for i := range depth {
		in += sliceOf(66+i, 67+i)
	}
	return in + sliceOf(66+depth, intID) + value(65, "\x00")
}

func TestUnmarshalForged(t *testing.T) {
	for _, test := range forged {
		var err error
		used := allocated(func() { err = codec.Unmarshal([]byte(test.in), test.target) })
		if err == nil || !errors.Is(err, test.want) && test.want != nil {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if used > 4<<20 {
			t.Errorf("%s: %d bytes allocated for %d", test.name, used, len(test.in))
		}
	}
}

// The streams by hand are right where they are not forged.
func TestUnmarshalByHand(t *testing.T) {
	m := map[string]int{}
	if err := codec.Unmarshal([]byte(mapOf(65, stringID, intID)+value(65, "\x00\x01\x01a\x04")), &m); err != nil || m["a"] != 2 {
		t.Error(m, err)
	}
	var p point
	if err := codec.Unmarshal([]byte(structOf(65, "X", intID, "Q", 66)+sliceOf(66, intID)+value(65, "\x01\x04\x01\x02\x00\x00\x00")), &p); err != nil || p.X != 2 {
		t.Error(p, err)
	}
	// Two types of the sender that are one at the receiver, and alike.
	var s struct{ A, B []int }
	if err := codec.Unmarshal([]byte(structOf(65, "A", 66, "B", 67)+sliceOf(66, intID)+sliceOf(67, intID)+value(65, "\x01\x01\x02\x01\x01\x04\x00")), &s); err != nil || s.B[0] != 2 {
		t.Error(s, err)
	}
	var a any
	if err := codec.Unmarshal([]byte(arrayOf(65, 66, 2)+structOf(66)+value(anyID, "\x00"+text("[2]codec_test.point")+id(65)+"\x04\x00\x02\x00\x00")), &a); err != nil || a != [2]point{} {
		t.Error(a, err)
	}
}

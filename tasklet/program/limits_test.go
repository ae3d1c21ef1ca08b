package program_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/peertest/crafted"
	"github.com/dstackless/dstackless/tasklet/program"
)

// Each module is refused with an error that says which limit it is over, long
// before it could cost something. At the limit it is taken.
func TestLimits(t *testing.T) {
	of := func(declared, code string) *crafted.Module {
		return crafted.Program(crafted.Function{Type: crafted.GoFunction, Body: declared + code + "\x41\x00\x0b"})
	}
	many := func(n int, begin, end string) *crafted.Module {
		return of("\x00", strings.Repeat(begin, n)+strings.Repeat(end, n))
	}
	section := func(id byte, n int, element string) *crafted.Module {
		m := crafted.Program(crafted.Function{Type: crafted.GoFunction, Body: "\x00\x41\x00\x0b"})
		have, size := binary.Uvarint(m.Sections[id])
		m.Sections[id] = slices.Concat(binary.AppendUvarint(nil, have+uint64(n)), m.Sections[id][size:], []byte(strings.Repeat(element, n)))
		return m
	}
	for _, test := range []struct {
		limit  program.Limit
		max    int
		module func(n int) *crafted.Module
		beside int // what every such module has of it
	}{
		{program.Types, program.MaxTypes, func(n int) *crafted.Module { return section(1, n, "\x60\x00\x00") }, 2},
		{program.Parameters, program.MaxParameters, func(n int) *crafted.Module {
			return section(1, 1, "\x60"+string(crafted.Str(strings.Repeat("\x7f", n)))+"\x00")
		}, 0},
		{program.Segments, program.MaxSegments, func(n int) *crafted.Module { return section(11, n, "\x00\x41\x80\x20\x0b\x00") }, 2},
		{program.Functions, program.MaxFunctions, func(n int) *crafted.Module {
			return crafted.Program(slices.Repeat([]crafted.Function{{Type: crafted.GoFunction, Body: "\x00\x41\x00\x0b"}}, n)...)
		}, 2},
		{program.FunctionBytes, program.MaxFunctionBytes, func(n int) *crafted.Module { return many(n, "\x01", "") }, 4},
		{program.Locals, program.MaxLocals, func(n int) *crafted.Module {
			return of("\x01"+string(binary.AppendUvarint(nil, uint64(n)))+"\x7e", "")
		}, 0},
		{program.Locals, program.MaxLocals, func(n int) *crafted.Module {
			return of("\x02\x01\x7e"+string(binary.AppendUvarint(nil, uint64(n)))+"\x7e", "")
		}, 1},
		{program.Blocks, program.MaxBlocks, func(n int) *crafted.Module { return many(n, "\x02\x40\x0b", "") }, 0},
		{program.Loops, program.MaxLoops, func(n int) *crafted.Module { return many(n, "\x03\x40", "\x0b") }, 0},
		{program.Conditions, program.MaxConditions, func(n int) *crafted.Module { return many(n, "\x20\x00\x04\x40\x0b", "") }, 0},
		{program.Conditions, program.MaxConditions, func(n int) *crafted.Module {
			return of("\x00", "\x02\x40"+strings.Repeat("\x20\x00\x0d\x00", n)+"\x0b")
		}, 0},
		{program.Depth, program.MaxDepth, func(n int) *crafted.Module { return many(n, "\x02\x40", "\x0b") }, 1},
		{program.Stack, program.MaxStack, func(n int) *crafted.Module { return many(n, "\x20\x00", "\x1a") }, 0},
		{program.Labels, program.MaxLabels, func(n int) *crafted.Module {
			return of("\x00", "\x02\x40\x20\x00\x0e"+string(binary.AppendUvarint(nil, uint64(n)))+strings.Repeat("\x00", n+1)+"\x0b")
		}, 1},
	} {
		t.Run(test.limit.String(), func(t *testing.T) {
			n := test.max - test.beside
			if _, err := program.Load(test.module(n).Bytes()); err != nil {
				t.Errorf("at the limit: %v", err)
			}
			for _, n := range []int{n + 1, 20 * n} {
				wasm := test.module(n).Bytes()
				began := time.Now()
				_, err := program.Load(wasm)
				over(t, err, test.limit)
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %v to refuse it", took)
				}
			}
		})
	}
}

// over checks that err says which limit a module is over.
func over(t *testing.T, err error, limit program.Limit) {
	t.Helper()
	refused(t, err, program.TooLarge)
	var l *program.LimitError
	if !errors.As(err, &l) || l.Limit != limit || l.Found <= l.Max || !strings.Contains(err.Error(), limit.String()) {
		t.Errorf("error %v; want one that says %q", err, limit)
	}
}

// The time to load a module is proportional to its size, also if one function is
// called again and again in the way in which the garbage collector's write
// barrier is.
func TestLoadIsLinear(t *testing.T) {
	const flush = "\x41\x00\x10\x03\x04\x40\x00\x0b" // call function 3; if; unreachable; end
	m := crafted.Program(
		crafted.Function{Type: crafted.GoFunction, Body: "\x00\x41\x00\x0b"},
		crafted.Function{Type: crafted.GoFunction, Body: "\x00" + strings.Repeat("\x01", 400_000) + "\x41\x00\x0b"},
		crafted.Function{Type: crafted.Procedure, Body: "\x00" + strings.Repeat(flush, 16_000) + "\x0b"})
	began := time.Now()
	if _, err := program.Load(m.Bytes()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%v for %d bytes", took, len(m.Bytes()))
	}
}

// What is counted before anything else is looked at.
func TestLimitsOfModule(t *testing.T) {
	_, err := program.Load(make([]byte, program.MaxModule+1))
	over(t, err, program.ModuleBytes)
	m := crafted.New("go1.26.1")
	m.Sections[2] = crafted.Vec(slices.Repeat([][]byte{slices.Concat(crafted.Str("dstackless"), crafted.Str("f"), []byte{0, 0})}, program.MaxImports+1)...)
	_, err = program.Load(m.Bytes())
	over(t, err, program.ImportCount)
	m = crafted.New("go1.26.1")
	m.Sections[5] = []byte("\x01\x00\x80\x80\x04")                                // 4 GiB
	m.Sections[11] = crafted.Vec([]byte("\x00\x41\x80\x80\x80\x80\x79\x0b\x01x")) // near its end
	_, err = program.Load(m.Bytes())
	over(t, err, program.ImageBytes)
	m.Sections[1] = crafted.Vec([]byte("\x60\x01\x7f\x01\x7f"), []byte("\x60\x00\x02\x7f\x7f"))
	_, err = program.Load(m.Bytes())
	refused(t, err, program.BadStructure)
}

package program_test

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/dstackless/dstackless/peertest/crafted"
	"github.com/dstackless/dstackless/tasklet/program"
)

// Code that is not valid WebAssembly is refused, also where the rewriting would
// make it so: it adds a global, an import, a type and blocks.
func TestInvalidCode(t *testing.T) {
	const zero = "\x41\x00"
	for _, test := range []struct{ name, code string }{
		{"a global too many", zero + "\x24\x08"},
		{"a global far beyond", "\x23\x80\x80\x04\x1a"},
		{"a global's type", "\x42\x00\x24\x00"},
		{"a local too many", zero + "\x21\x02"},
		{"a local's type", "\x42\x00\x21\x00"},
		{"a tee's type", "\x42\x00\x22\x00\x1a"},
		{"a function too many", "\x10\x04"},
		{"an argument's type", "\x42\x00\x10\x03\x1a"},
		{"no argument", "\x10\x03\x1a"},
		{"an indirect call's type", zero + zero + "\x11\x02\x00\x1a"},
		{"an indirect call's table", zero + zero + "\x11\x00\x01\x1a"},
		{"a label too many", "\x0c\x01"},
		{"a conditional label too many", zero + "\x0d\x01"},
		{"a label of a table", zero + "\x0e\x01\x00\x01"},
		{"labels that differ", "\x02\x40\x02\x7f" + zero + zero + "\x0e\x01\x00\x01\x0b\x1a\x0b"},
		{"a result is missing", "\x02\x7f\x0b\x1a"},
		{"a result too many", "\x02\x40" + zero + "\x0b"},
		{"a result's type", "\x02\x7e" + zero + "\x0b\x1a"},
		{"an if without else", zero + "\x04\x7f" + zero + "\x0b\x1a"},
		{"an else without if", "\x02\x40\x05\x0b"},
		{"two elses", zero + "\x04\x40\x05\x05\x0b"},
		{"what a branch takes along", "\x02\x7f\x0c\x00\x0b\x1a"},
		{"a condition's type", "\x42\x00\x0d\x00"},
		{"what is outside of a block", zero + "\x02\x40\x1a\x0b"},
		{"nothing to drop", "\x1a"},
		{"a select of two types", zero + "\x42\x00" + zero + "\x1b\x1a"},
		{"an operand's type", zero + "\x42\x00\x6a\x1a"},
		{"no operand", zero + "\x6a\x1a"},
		{"an address's type", "\x42\x00\x28\x02\x00\x1a"},
		{"a stored value's type", zero + zero + "\x37\x03\x00"},
		{"an alignment", zero + "\x28\x03\x00\x1a"},
		{"another memory", "\x3f\x01\x1a"},
		{"a copy to another memory", zero + zero + zero + "\xfc\x0a\x01\x00"},
		{"a fill of another type", zero + zero + "\x42\x00\xfc\x0b\x00"},
		{"a return without result", "\x0f"},
		{"a return of another type", "\x42\x00\x0f"},
		{"a type after unreachable", "\x00\x42\x00\x6a\x1a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := crafted.Program(
				crafted.Function{Type: crafted.GoFunction, Body: "\x01\x01\x7f" + test.code + zero + "\x0b"},
				crafted.Function{Type: crafted.GoFunction, Body: "\x00\x20\x00\x0b"})
			ctx := context.Background()
			r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
			defer r.Close(ctx)
			if _, err := r.CompileModule(ctx, withoutCustoms(m.Bytes())); err == nil {
				t.Error("the engine takes it")
			}
			_, err := program.Load(m.Bytes())
			refused(t, err, program.Invalid)
		})
	}
}

// Code that cannot be reached is valid with whatever stack it wants.
func TestUnreachableCode(t *testing.T) {
	for _, code := range []string{
		"\x00\x6a\x1a", "\x00\x1b\x1a", "\x00\x1b\x41\x00\x1b\x1a", "\x00\x0e\x01\x00\x00", "\x02\x7f\x00\x0b\x1a",
		"\x41\x00\x04\x7f\x00\x05\x41\x00\x0b\x1a", "\x03\x7f\x0c\x00\x0b\x1a", "\x02\x7e\x41\x00\x0c\x01\x0b\x1a", "\x00\x10\x02\x0f",
	} {
		m := crafted.Program(crafted.Function{Type: crafted.GoFunction, Body: "\x00" + code + "\x41\x00\x0b"})
		compiles(t, withoutCustoms(m.Bytes()))
		load(t, m)
	}
}

package crafted

import "strings"

// Endless returns modules of which each would run for ever, by the way in which
// it does.
func Endless() map[string]*Module {
	procedure := func(body string) *Module { return Program(Function{GoFunction, body}) }
	return map[string]*Module{
		// loop; br 0; end
		"loop": procedure("\x00\x03\x40\x0c\x00\x0b\x41\x00\x0b"),
		// It returns, and wasm_pc_f_loop calls it again.
		"return": procedure("\x00\x41\x00\x0b"),
		// It calls itself twice.
		"recursion": procedure("\x00\x41\x00\x10\x02\x1a\x41\x00\x10\x02\x0b"),
		// A loop around 100 copies of memory.
		"copies": procedure("\x00\x03\x40" + strings.Repeat("\x41\x00\x41\x80\x80\x04\x41\x80\x80\x04\xfc\x0a\x00\x00", 100) + "\x0c\x00\x0b\x41\x00\x0b"),
	}
}

package crafted

import "strings"

// Endless returns modules of which each would run for ever, by the way in which
// it does.
func Endless() map[string]*Module {
	procedure := func(body string) *Module { return Program(Function{GoFunction, body}) }
	// 60 functions, of which each but the first calls the one before it twice.
	const leaf, last = First + 1, First + 60
	doubling := []Function{{GoFunction, "\x00\x41\x00\x10" + string(rune(last)) + "\x0b"}, {GoFunction, "\x00\x41\x00\x0b"}}
	for n := leaf; n < last; n++ {
		call := "\x41\x00\x10" + string(rune(n))
		doubling = append(doubling, Function{GoFunction, "\x00" + call + "\x1a" + call + "\x0b"})
	}
	return map[string]*Module{
		// loop; br 0; end
		"loop": procedure("\x00\x03\x40\x0c\x00\x0b\x41\x00\x0b"),
		// It returns, and wasm_pc_f_loop calls it again.
		"return": procedure("\x00\x41\x00\x0b"),
		// A function that calls itself twice with a number that is one smaller,
		// until that is 0, and is called with 60.
		"recursion": Program(
			Function{GoFunction, "\x00\x41\x3c\x10\x03\x0b"},
			Function{GoFunction, "\x00\x20\x00\x04\x40" + strings.Repeat("\x20\x00\x41\x01\x6b\x10\x03\x1a", 2) + "\x0b\x41\x00\x0b"}),
		// It comes to its end, after 2^59 calls, without a loop or a recursion.
		"doubling": Program(doubling...),
		// A loop around 5,000 loads, each of which takes some time.
		"long loop": procedure("\x00\x03\x40\x41\x00" + strings.Repeat("\x28\x02\x00\x41\xff\xff\x03\x71", 5000) + "\x1a\x0c\x00\x0b\x41\x00\x0b"),
		// A loop around 100 copies of memory.
		"copies": procedure("\x00\x03\x40" + strings.Repeat("\x41\x00\x41\x80\x80\x04\x41\x80\x80\x04\xfc\x0a\x00\x00", 100) + "\x0c\x00\x0b\x41\x00\x0b"),
	}
}

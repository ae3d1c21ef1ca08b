// Package program reads Go programs that were built for WebAssembly and makes
// them ones that can be stopped anywhere and carried on elsewhere.
//
// # Why this is possible
//
// The code that the Go compiler emits for WebAssembly does not live on the
// WebAssembly stack. Goroutines have their frames in linear memory, a function
// can be entered again behind any call that it makes, and to switch goroutines
// every function returns 1 until the stack is empty and a loop in the runtime,
// wasm_pc_f_loop, jumps to wherever the memory says. What a program is doing is
// therefore in its memory and in the eight global variables that the compiler
// uses as registers; see src/cmd/internal/obj/wasm and src/runtime/asm_wasm.s of
// the Go distribution.
//
// # What is changed
//
// [Load] adds one question to every function that calls an import, right
// behind the call: does the host want the program to leave (PAUSE, the eighth
// global, is set)? If so the function writes its own address where a return
// address belongs and returns 1, and the program unwinds by its own rules until
// its start function returns. Calling wasm_pc_f_loop later makes the import
// call again, in this instance or in another one with the same memory and
// globals.
//
// What could go on for ever counts its turns, see [TurnsPerYield]: a program
// that computes for long without calling its host lets it in now and then.
// That is a jump back, a function that calls one with a number that is not
// smaller, and wasm_pc_f_loop itself. All other code comes to its end; where that
// could take long, because there is much of it or because its functions call each
// other again and again, turns are counted on the way.
//
// # What is accepted
//
// The shapes that this relies on are those of Go 1.24 to 1.26, built with
//
//	GOOS=wasip1 GOARCH=wasm go build -o prog.wasm .
//
// and each is checked in full, because a program of another shape would not
// fail but compute nonsense. The code must be valid WebAssembly as it comes: what
// the rewriting adds gives no meaning to a number that had none. All else is
// refused with an [UnsupportedError].
package program

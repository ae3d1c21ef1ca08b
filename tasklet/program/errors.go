package program

import "fmt"

// howToBuild ends every refusal: it is what the reader can do about it.
const howToBuild = "build it with Go 1.24 to 1.26: GOOS=wasip1 GOARCH=wasm go build -o prog.wasm ."

// A Reason is a kind of refusal.
type Reason uint8

// The reasons for which [Load] refuses a module, in the order in which it
// looks for them.
const (
	NotWasm      Reason = iota + 1 // the bytes are not a WebAssembly module
	Truncated                      // the module ends too early, or its lengths contradict each other
	TooLarge                       // the module is over a limit; see LimitError
	NotGo                          // nothing says that the Go compiler made it
	GoVersion                      // a Go version whose code is not known here
	Registers                      // not the eight globals of a Go program
	WrongGOOS                      // built with GOOS=js
	BadImport                      // an import that is not a plain function
	BadTable                       // the function table was rearranged
	Library                        // built with -buildmode=c-shared
	Exports                        // exports functions with //go:wasmexport
	BadWrapper                     // an import is called in another way than the Go compiler's
	BadLoop                        // wasm_pc_f_loop is not to be found
	BadData                        // data segments that are not plain memory contents
	BadCode                        // instructions that the Go compiler does not emit
	BadStructure                   // sections that no Go program has, or lacks
	Invalid                        // code that is not valid WebAssembly
)

var reasons = [...]string{
	NotWasm:      "not a WebAssembly module",
	Truncated:    "the module is cut off or damaged",
	TooLarge:     "the module is too large",
	NotGo:        "the module was not made by the Go compiler",
	GoVersion:    "the module was made by a Go version that is not supported",
	Registers:    "the module's global variables are not those of a Go program",
	WrongGOOS:    "the program was built with GOOS=js",
	BadImport:    "the module imports something that is not a plain function",
	BadTable:     "the module's function table is not a Go program's",
	Library:      "the module is a library (-buildmode=c-shared), not a program",
	Exports:      "the program exports functions with //go:wasmexport",
	BadWrapper:   "the module's import calls are not as the Go compiler emits them; was it optimized by another tool?",
	BadLoop:      "the Go runtime's main loop was not found; was the module optimized by another tool?",
	BadData:      "the module's data is not plain memory contents",
	BadCode:      "the module has instructions that the Go compiler does not emit",
	BadStructure: "the module is not laid out as a Go program",
	Invalid:      "the module's code is not valid WebAssembly",
}

// String returns the reason in words.
func (r Reason) String() string {
	if int(r) < len(reasons) && reasons[r] != "" {
		return reasons[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// An UnsupportedError says why a module is not a program that can be loaded,
// and how to make one.
type UnsupportedError struct {
	// Reason is the kind of refusal.
	Reason Reason
	// Detail is what was found, or expected and not found; it may be empty.
	Detail string
}

// Error returns the reason, the detail and the command that builds a program
// which can be loaded.
func (e *UnsupportedError) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("program: %s; %s", e.Reason, howToBuild)
	}
	return fmt.Sprintf("program: %s (%s); %s", e.Reason, e.Detail, howToBuild)
}

// refuse makes an UnsupportedError.
func refuse(r Reason, format string, args ...any) error {
	return &UnsupportedError{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

package program

import (
	"cmp"
	"fmt"
)

// PageSize is the unit of a program's memory, in bytes.
const PageSize = 64 << 10

// Limits on what [Load] reads. They bound the time and memory that it takes to
// load a module and to compile it. Go programs stay below them: in parentheses
// is the most that the Go compiler itself, built for WebAssembly, and the tests
// of the standard library have. A module over one is refused with a [LimitError].
const (
	MaxModule        = 256 << 20 // bytes of the module (49 MB)
	MaxForeignModule = 64 << 20  // the same, for programs that other peers bring
	MaxImage         = 256 << 20 // bytes of memory that the data fills
	MaxTypes         = 1 << 12   // types of functions (20)
	MaxParameters    = 32        // of one type (9)
	MaxImports       = 1 << 10   // (37)
	MaxFunctions     = 1 << 17   // (19,930)
	MaxSegments      = 100_000   // data segments, as many as the Go linker makes

	// Of each function:
	MaxFunctionBytes = 2 << 20 // its code (666,326)
	MaxLocals        = 64      // beside its parameters (21; the Go compiler has 50 registers)
	MaxBlocks        = 1 << 15 // (7,739)
	MaxLoops         = 1 << 6  // (3)
	MaxConditions    = 1 << 14 // if and br_if (7,784)
	MaxLabels        = 1 << 16 // that its branches name (18,427)
	MaxDepth         = 1 << 15 // of blocks, loops and ifs within each other (7,741)
	MaxStack         = 1 << 8  // values on WebAssembly's stack at a time (13)
)

// A Limit is one of the limits on modules.
type Limit uint8

// The limits on modules.
const (
	ModuleBytes Limit = iota + 1
	ImageBytes
	Types
	Parameters
	ImportCount
	Functions
	Segments
	FunctionBytes
	Locals
	Blocks
	Loops
	Conditions
	Labels
	Depth
	Stack
)

var limits = [...]struct {
	max  uint64
	what string
}{
	ModuleBytes:   {MaxModule, "bytes"},
	ImageBytes:    {MaxImage, "bytes of memory filled by its data"},
	Types:         {MaxTypes, "types of functions"},
	Parameters:    {MaxParameters, "parameters of a type of functions"},
	ImportCount:   {MaxImports, "imports"},
	Functions:     {MaxFunctions, "functions"},
	Segments:      {MaxSegments, "data segments"},
	FunctionBytes: {MaxFunctionBytes, "bytes of code"},
	Locals:        {MaxLocals, "locals"},
	Blocks:        {MaxBlocks, "blocks"},
	Loops:         {MaxLoops, "loops"},
	Conditions:    {MaxConditions, "conditional branches"},
	Labels:        {MaxLabels, "labels of branches"},
	Depth:         {MaxDepth, "blocks within each other"},
	Stack:         {MaxStack, "values on the stack"},
}

// String returns what the limit bounds.
func (l Limit) String() string {
	if int(l) < len(limits) && limits[l].what != "" {
		return limits[l].what
	}
	return fmt.Sprintf("limit %d", uint8(l))
}

// A LimitError says that a module is over one of the limits. It wraps an
// [*UnsupportedError] whose reason is [TooLarge].
type LimitError struct {
	Limit Limit
	// Max is the limit. Found is what the module has, or has up to where
	// [Load] gave up.
	Max, Found uint64
	// Function is the number of the function that is over the limit, without
	// imports, or -1 if the limit is one for the module as a whole.
	Function int
}

// Error returns the limit, what was found, and in which function.
func (e *LimitError) Error() string { return e.Unwrap().Error() }

// Unwrap returns an [*UnsupportedError].
func (e *LimitError) Unwrap() error {
	who := "it"
	if e.Function >= 0 {
		who = fmt.Sprintf("function %d", e.Function)
	}
	return refuse(TooLarge, "%s has %d %s; the limit is %d", who, e.Found, e.Limit, e.Max)
}

// atMost returns an error if a module has more of something than it may.
func atMost(l Limit, found uint64) error {
	if found <= limits[l].max {
		return nil
	}
	return &LimitError{Limit: l, Max: limits[l].max, Found: found, Function: -1}
}

// atMostIn is atMost for function n.
func atMostIn(n uint32, l Limit, found int) error {
	if uint64(found) <= limits[l].max {
		return nil
	}
	return &LimitError{Limit: l, Max: limits[l].max, Found: uint64(found), Function: int(n)}
}

// A functionSize is what a function has of some things that are limited.
type functionSize struct{ blocks, loops, conditions, labels, depth, stack int }

// check returns an error if function n is over a limit.
func (s *functionSize) check(n uint32) error {
	if s.blocks <= MaxBlocks && s.loops <= MaxLoops && s.conditions <= MaxConditions &&
		s.labels <= MaxLabels && s.depth <= MaxDepth && s.stack <= MaxStack {
		return nil // as it nearly always is; this is asked for each instruction
	}
	return cmp.Or(
		atMostIn(n, Blocks, s.blocks), atMostIn(n, Loops, s.loops), atMostIn(n, Conditions, s.conditions),
		atMostIn(n, Labels, s.labels), atMostIn(n, Depth, s.depth), atMostIn(n, Stack, s.stack))
}

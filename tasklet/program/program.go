package program

// Names under which the rewritten module exports what is needed to leave and
// re-enter it.
const (
	// ExportLoop is the runtime's wasm_pc_f_loop, a function of no
	// arguments that carries the program on.
	ExportLoop = "dstackless.loop"
	// ExportMemory is the linear memory, as Go exports it.
	ExportMemory = "memory"
	// ExportStart starts the program, as Go exports it.
	ExportStart = "_start"
)

// The globals of a Go program, by their index.
const (
	GlobalSP    = 0 // stack pointer, i32
	GlobalCtxt  = 1 // closure context
	GlobalG     = 2 // current goroutine
	GlobalPause = 7 // asks the program to unwind, i32
	Globals     = 8 // how many there are; 3 to 6 are return values

	// GlobalTurns is added to them: it counts down the turns of loops and is
	// no part of what a program is doing.
	GlobalTurns = 8
)

// The function that the rewritten module imports besides those that the
// program does, func(where i32) (resume i32). It is called once in
// TurnsPerYield turns, whatever makes the turns: loops, or functions that can
// call themselves.
//
// It is what lets the host's own Go scheduler in: a goroutine that runs
// WebAssembly is in machine code which that scheduler cannot interrupt, so that
// without it every garbage collection of the host would wait for the guest.
//
// Where says whether the program can be left here if the goroutine is not the
// scheduler's (GlobalG): the host then sets GlobalPause.
const (
	YieldModule   = "dstackless"
	YieldName     = "yield"
	TurnsPerYield = 1 << 16 // some tenths of a millisecond

	YieldOnly  = 0 // it cannot
	YieldLoop  = 1 // it can, and has to be carried on as told at AskHost
	YieldEntry = 2 // it can, and goes on by itself
)

// To carry on a program that was left in a loop, the host moves the low 16 bits
// of the program counter at SP-8 to NextAddr, as 32 bits, and puts AskHost in
// their place. The function that the program was left in calls yield at once,
// and is answered 1, which in all other cases is 0.
const (
	AskHost  = 0xffff
	NextAddr = 64
)

// ExportGlobal returns the name under which the rewritten module exports the
// i-th of its globals, GlobalTurns included.
func ExportGlobal(i int) string { return "dstackless.global" + string(rune('0'+i)) }

// An Import names a function that a program expects of its host.
type Import struct {
	Module string
	Name   string
}

// A Program is a Go program that can be stopped and carried on. It is
// immutable.
type Program struct {
	code    []byte
	image   []byte
	pages   uint32
	version string
	imports []Import
}

// Load checks that wasm is a Go program of a kind that can be stopped and
// carried on, and rewrites it. It does not keep wasm.
//
// The error is an [*UnsupportedError] for whatever is not such a program, and a
// [*LimitError], which wraps one, for what is over a limit.
//
// The time that it takes is proportional to the size of the module, and is a
// second for some 50 MB: it needs no context.
func Load(wasm []byte) (*Program, error) { return load(wasm, false) }

// LoadTrusted is like [Load] for a program that is known to have no loop that calls
// nothing for long: it leaves such loops alone. They compute up to 1.4 times
// faster, and as long as one does, neither it nor the host's own garbage collector
// can be stopped. What both make of a program can be carried on by each other.
func LoadTrusted(wasm []byte) (*Program, error) { return load(wasm, true) }

func load(wasm []byte, trusted bool) (*Program, error) {
	m, err := parse(wasm)
	if err != nil {
		return nil, err
	}
	m.trusted = trusted
	if err := m.check(); err != nil {
		return nil, err
	}
	image, err := m.image()
	if err != nil {
		return nil, err
	}
	code, err := m.rewrite()
	if err != nil {
		return nil, err
	}
	p := &Program{code: code, image: image, pages: m.pages, version: m.version}
	for _, imp := range m.imports {
		p.imports = append(p.imports, Import{imp.module, imp.name})
	}
	return p, nil
}

// Code returns the rewritten module. It has no data section: an instance's
// memory is to be filled from [Program.Image] before the program starts. The
// same module always gives the same code. The caller must not change it.
func (p *Program) Code() []byte { return p.code }

// Image returns the memory contents with which the program starts, from
// address 0, without the zeros at the end; its length is a multiple of 4096.
// The caller must not change it.
func (p *Program) Image() []byte { return p.image }

// Pages returns the size of memory with which the program starts, in units of
// PageSize. A Go program sets no maximum.
func (p *Program) Pages() uint32 { return p.pages }

// GoVersion returns the version of Go that built the program, such as
// "go1.26.1".
func (p *Program) GoVersion() string { return p.version }

// Imports returns the functions that the program expects of its host, in
// order. A function that is declared in several of the program's packages is
// there several times.
func (p *Program) Imports() []Import { return append([]Import(nil), p.imports...) }

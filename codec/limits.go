package codec

const (
	// MaxDepth is how deep a value may be nested: 10,000 structs, elements,
	// map entries and values of interfaces, one inside the other. A linked list
	// may have as many nodes. Gob recurses, and takes up to 1.6 KiB of stack
	// for each level: 16 MiB at this depth.
	MaxDepth = 10_000

	// MaxMemory is how many bytes of memory a decoded value may take beside
	// its strings and byte slices: 256 MiB. Gob copies slices as it grows them:
	// while it decodes, the heap may have three and a half times as much.
	MaxMemory = 256 << 20

	// maxTypeDepth bounds how deep types are nested. Types of Go programs are
	// far below it.
	maxTypeDepth = 1000

	// The definitions of a value's types, and the decoders that gob compiles for
	// them, may take typeMemoryBase bytes of memory, and typeMemoryFactor bytes
	// for each encoded byte of the definitions.
	typeMemoryBase   = 1 << 20
	typeMemoryFactor = 64

	// What gob 1.26 allocates, about, for the definition of a type, and to
	// compile the decoder of a field.
	definitionCost = 256
	compileCost    = 512
)

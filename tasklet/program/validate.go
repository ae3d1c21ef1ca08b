package program

// A signature is what an instruction takes from the stack, n values of one type,
// and the type of what it puts there.
type signature struct {
	in  byte
	n   int
	out byte
}

// numbers are the signatures of instructions without operands, by the last
// instruction of each kind, from 0x45 on.
var numbers = [...]struct {
	last byte
	signature
}{
	{0x45, signature{i32, 1, i32}}, {0x4f, signature{i32, 2, i32}}, // i32.eqz, comparisons
	{0x50, signature{i64, 1, i32}}, {0x5a, signature{i64, 2, i32}},
	{0x60, signature{f32, 2, i32}}, {0x66, signature{f64, 2, i32}},
	{0x69, signature{i32, 1, i32}}, {0x78, signature{i32, 2, i32}}, // i32.clz, arithmetic
	{0x7b, signature{i64, 1, i64}}, {0x8a, signature{i64, 2, i64}},
	{0x91, signature{f32, 1, f32}}, {0x98, signature{f32, 2, f32}},
	{0x9f, signature{f64, 1, f64}}, {0xa6, signature{f64, 2, f64}},
	{0xa7, signature{i64, 1, i32}}, {0xa9, signature{f32, 1, i32}}, {0xab, signature{f64, 1, i32}}, // conversions
	{0xad, signature{i32, 1, i64}}, {0xaf, signature{f32, 1, i64}}, {0xb1, signature{f64, 1, i64}},
	{0xb3, signature{i32, 1, f32}}, {0xb5, signature{i64, 1, f32}}, {0xb6, signature{f64, 1, f32}},
	{0xb8, signature{i32, 1, f64}}, {0xba, signature{i64, 1, f64}}, {0xbb, signature{f32, 1, f64}},
	{0xbc, signature{f32, 1, i32}}, {0xbd, signature{f64, 1, i64}}, {0xbe, signature{i32, 1, f32}}, {0xbf, signature{i64, 1, f64}},
	{0xc1, signature{i32, 1, i32}}, {0xc4, signature{i64, 1, i64}}, // sign extensions
}

// instructions are the same by instruction.
var instructions = func() (all [256]signature) {
	op := 0x45
	for _, n := range numbers {
		for ; op <= int(n.last); op++ {
			all[op] = n.signature
		}
	}
	return all
}()

// saturating are the signatures of the conversions behind opMore.
var saturating = [...]signature{
	{f32, 1, i32}, {f32, 1, i32}, {f64, 1, i32}, {f64, 1, i32}, {f32, 1, i64}, {f32, 1, i64}, {f64, 1, i64}, {f64, 1, i64},
}

// accesses are the loads and stores, from 0x28 on: the type of the value, and
// the largest alignment as a power of two.
var accesses = [...]struct{ typ, align byte }{
	{i32, 2}, {i64, 3}, {f32, 2}, {f64, 3}, // whole values
	{i32, 0}, {i32, 0}, {i32, 1}, {i32, 1}, {i64, 0}, {i64, 0}, {i64, 1}, {i64, 1}, {i64, 2}, {i64, 2},
	{i32, 2}, {i64, 3}, {f32, 2}, {f64, 3}, // stores
	{i32, 0}, {i32, 1}, {i64, 0}, {i64, 1}, {i64, 2},
}

// A validator checks a function's code as the WebAssembly core specification
// has it in the appendix "Validation Algorithm", for the instructions that the Go
// compiler emits. All numbers must be ones of the module that was read: those
// that the rewriting adds are not the program's.
type validator struct {
	m      *module
	body   []byte
	r      *reader
	locals []byte // types, parameters first
	result string
	values []byte // types of what is on the stack
	frames []frame
	size   functionSize
	fault  string
}

// A frame is a block that is open.
type frame struct {
	op     byte
	result string
	height int  // of the stack at its beginning
	dead   bool // what follows cannot be reached
}

// anyType stands for the type of a value that code which cannot be reached takes from
// an empty stack.
const anyType = 0

// validate checks the code of all functions.
func (m *module) validate() error {
	v := &validator{m: m}
	for n := range m.bodies {
		if err := v.function(uint32(n)); err != nil {
			return err
		}
	}
	return nil
}

func (v *validator) function(n uint32) error {
	typ := v.m.types[v.m.funcs[n]]
	v.body = v.m.bodies[n]
	v.r = &reader{data: v.body}
	declared, err := v.r.locals(n)
	if err != nil {
		return err
	}
	v.locals = append(append(v.locals[:0], typ.params...), declared[1:]...)
	v.result, v.values, v.fault, v.size = typ.results, v.values[:0], "", functionSize{}
	v.frames = append(v.frames[:0], frame{op: opBlock, result: typ.results})
	for len(v.frames) > 0 {
		at := len(v.body) - len(v.r.data)
		op := v.r.byte()
		v.instruction(op)
		v.size.depth = max(v.size.depth, len(v.frames))
		v.size.stack = max(v.size.stack, len(v.values))
		switch {
		case v.r.bad:
			return refuse(BadCode, "function %d, offset %d, instruction %#x", n, at, op)
		case v.fault != "":
			return refuse(Invalid, "function %d, offset %d, instruction %#x: %s", n, at, op, v.fault)
		}
		if err := v.size.check(n); err != nil {
			return err
		}
	}
	if len(v.r.data) > 0 {
		return refuse(BadCode, "function %d: bytes behind its end", n)
	}
	return nil
}

// wrong notes what is wrong with an instruction.
func (v *validator) wrong(fault string) { v.fault = fault }

func (v *validator) push(typ byte) { v.values = append(v.values, typ) }

func (v *validator) pushAll(types string) { v.values = append(v.values, types...) }

// pop takes a value of a type, or of any type if that is anyType.
func (v *validator) pop(want byte) byte {
	f := &v.frames[len(v.frames)-1]
	if len(v.values) == f.height {
		if !f.dead {
			v.wrong("the stack is empty")
		}
		return want
	}
	got := v.values[len(v.values)-1]
	v.values = v.values[:len(v.values)-1]
	switch {
	case got == anyType:
		return want
	case want != anyType && got != want:
		v.wrong("the value has another type")
	}
	return got
}

func (v *validator) popN(typ byte, n int) {
	for range n {
		v.pop(typ)
	}
}

func (v *validator) popAll(types string) {
	for n := len(types) - 1; n >= 0; n-- {
		v.pop(types[n])
	}
}

// dead notes that what follows cannot be reached.
func (v *validator) dead() {
	f := &v.frames[len(v.frames)-1]
	f.dead, v.values = true, v.values[:f.height]
}

// label reads a label and returns what a branch to it takes along.
func (v *validator) label() string {
	n := v.r.u32()
	v.size.labels++
	if uint64(n) >= uint64(len(v.frames)) {
		v.wrong("there is no such block")
		return ""
	}
	f := v.frames[len(v.frames)-1-int(n)]
	if f.op == opLoop {
		return ""
	}
	return f.result
}

func (v *validator) open(op byte) {
	result := ""
	if t := v.r.byte(); t != noType {
		if t < f64 || t > i32 {
			v.r.fail()
		}
		result = string(t)
	}
	switch op {
	case opBlock:
		v.size.blocks++
	case opLoop:
		v.size.loops++
	default:
		v.size.conditions++
	}
	v.frames = append(v.frames, frame{op: op, result: result, height: len(v.values)})
}

// close checks what is on the stack at the end of a block, or of the first half
// of an if, and returns the block.
func (v *validator) close() frame {
	f := v.frames[len(v.frames)-1]
	v.popAll(f.result)
	if len(v.values) != f.height {
		v.wrong("the stack has more than the result")
	}
	v.values = v.values[:f.height]
	v.frames = v.frames[:len(v.frames)-1]
	return f
}

func (v *validator) local() byte {
	n := v.r.u32()
	if uint64(n) >= uint64(len(v.locals)) {
		v.wrong("there is no such local")
		return anyType
	}
	return v.locals[n]
}

func (v *validator) global() byte {
	switch n := v.r.u32(); {
	case n >= Globals:
		v.wrong("there is no such global")
		return anyType
	case n == GlobalSP || n == GlobalPause:
		return i32
	}
	return i64
}

// typ returns the type with a number.
func (v *validator) typ(n uint32) funcType {
	if uint64(n) >= uint64(len(v.m.types)) {
		v.wrong("there is no such type")
		return funcType{}
	}
	return v.m.types[n]
}

// callee returns the type of a function.
func (v *validator) callee(n uint32) funcType {
	own := int64(n) - int64(len(v.m.imports))
	switch {
	case own < 0:
		return v.m.types[v.m.imports[n].typ]
	case own >= int64(len(v.m.funcs)):
		v.wrong("there is no such function")
		return funcType{}
	}
	return v.m.types[v.m.funcs[own]]
}

// instruction checks one instruction, and reads its operands.
func (v *validator) instruction(op byte) {
	switch {
	case op <= opDrop:
		v.control(op)
	case op == opSelect:
		v.pop(i32)
		t := v.pop(anyType)
		if u := v.pop(t); t == anyType {
			t = u
		}
		v.push(t)
	case op == opLocalGet:
		v.push(v.local())
	case op == opLocalSet:
		v.pop(v.local())
	case op == opLocalTee:
		t := v.local()
		v.pop(t)
		v.push(t)
	case op == opGlobalGet:
		v.push(v.global())
	case op == opGlobalSet:
		v.pop(v.global())
	case opI32Load <= op && op <= 0x3e:
		a := accesses[op-opI32Load]
		if align := v.r.u32(); align > uint32(a.align) {
			v.wrong("its alignment")
		}
		v.r.u32()
		if op >= opI32Store {
			v.pop(a.typ)
		}
		if v.pop(i32); op < opI32Store {
			v.push(a.typ)
		}
	case op == 0x3f || op == 0x40: // memory.size, memory.grow
		v.zero()
		if op == 0x40 {
			v.pop(i32)
		}
		v.push(i32)
	case op == opI32Const:
		v.r.signed(32)
		v.push(i32)
	case op == opI64Const:
		v.r.signed(64)
		v.push(i64)
	case op == 0x43:
		v.r.bytes(4)
		v.push(f32)
	case op == 0x44:
		v.r.bytes(8)
		v.push(f64)
	case op == opMore:
		switch sub := v.r.u32(); {
		case sub < uint32(len(saturating)):
			v.apply(saturating[sub])
		case sub == 10: // memory.copy
			v.zero()
			v.zero()
			v.popN(i32, 3)
		case sub == 11: // memory.fill
			v.zero()
			v.popN(i32, 3)
		default:
			v.r.fail()
		}
	case instructions[op].n > 0:
		v.apply(instructions[op])
	default:
		v.r.fail()
	}
}

func (v *validator) apply(s signature) {
	v.popN(s.in, s.n)
	v.push(s.out)
}

// zero reads the number of the only memory or table.
func (v *validator) zero() {
	if v.r.byte() != 0 {
		v.wrong("there is only one memory and one table")
	}
}

// control checks an instruction up to opDrop.
func (v *validator) control(op byte) {
	switch op {
	case 0x00: // unreachable
		v.dead()
	case 0x01: // nop
	case opBlock, opLoop:
		v.open(op)
	case opIf:
		v.pop(i32)
		v.open(op)
	case opElse:
		f := v.close()
		if f.op != opIf {
			v.wrong("there is no if")
		}
		v.frames = append(v.frames, frame{op: opElse, result: f.result, height: f.height})
	case opEnd:
		f := v.close()
		if f.op == opIf && f.result != "" {
			v.wrong("there is no else")
		}
		v.pushAll(f.result)
	case opBr:
		v.popAll(v.label())
		v.dead()
	case opBrIf:
		v.size.conditions++
		takes := v.label()
		v.pop(i32)
		v.popAll(takes)
		v.pushAll(takes)
	case opBrTable:
		v.table()
	case opReturn:
		v.popAll(v.result)
		v.dead()
	case opCall:
		t := v.callee(v.r.u32())
		v.popAll(t.params)
		v.pushAll(t.results)
	case opCallIndirect:
		t := v.typ(v.r.u32())
		v.zero()
		v.pop(i32)
		v.popAll(t.params)
		v.pushAll(t.results)
	case opDrop:
		v.pop(anyType)
	default:
		v.r.fail()
	}
}

// table checks a br_table.
func (v *validator) table() {
	n := v.r.count(1)
	takes := v.label()
	for range n {
		if v.label() != takes {
			v.wrong("its labels take different values along")
		}
		if v.r.bad || v.fault != "" || v.size.labels > MaxLabels {
			return
		}
	}
	v.pop(i32)
	v.popAll(takes)
	v.dead()
}

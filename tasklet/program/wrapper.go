package program

// checkWrappers finds the one function through which each import is called and
// notes where in it the call ends. A function that merely looks similar is
// none: every byte is accounted for.
func (m *module) checkWrappers() error {
	m.pauses = make(map[uint32]int, len(m.imports))
	found := make([]bool, len(m.imports))
	for i, body := range m.bodies {
		if m.funcs[i] != 0 {
			continue
		}
		imp, end, ok := m.wrapper(body)
		if !ok {
			continue
		}
		if found[imp] {
			return refuse(BadWrapper, "%q is called from two functions", m.imports[imp].name)
		}
		found[imp] = true
		m.pauses[uint32(i)] = end
	}
	for i, ok := range found {
		if !ok {
			return refuse(BadWrapper, "%q has no caller", m.imports[i].name)
		}
	}
	return nil
}

// wrapper decodes the body that the compiler generates for an imported function
// (genWasmImportWrapper in src/cmd/internal/obj/wasm): local 1 caches the stack
// pointer, each argument is loaded relative to it, the import is called, the
// result is stored. It returns the index of the import and the offset behind
// the call.
func (m *module) wrapper(body []byte) (imp uint32, end int, ok bool) {
	r := &reader{data: body}
	var local byte // type of the local that holds the result on its way
	switch {
	case r.skip(1, 1, i32):
	case r.skip(2, 1, i32, 1):
		local = r.byte()
	default:
		return 0, 0, false
	}
	if !r.skip(0x23, 0, 0x21, 1) { // local 1 = SP
		return 0, 0, false
	}
	var params []byte
	for r.skip(0x20, 1) {
		switch {
		case r.skip(0x28, 2), r.skip(0x2d, 0): // i32, bool
			params = append(params, i32)
		case r.skip(0x29, 3):
			params = append(params, i64)
		case r.skip(0x2a, 2):
			params = append(params, f32)
		case r.skip(0x2b, 3):
			params = append(params, f64)
		default:
			return 0, 0, false
		}
		r.u32()
	}
	if !r.skip(0x10) {
		return 0, 0, false
	}
	imp = r.u32()
	if r.bad || uint64(imp) >= uint64(len(m.imports)) {
		return 0, 0, false
	}
	end = len(body) - len(r.data)
	typ := m.types[m.imports[imp].typ]
	if typ.params != string(params) || !r.skip(0x23, 0, 0x21, 1) || !r.result(typ.results, local) {
		return 0, 0, false
	}
	// SP += 8, return 0
	if !r.skip(0x20, 1, 0x41, 8, 0x6a, 0x22, 1, 0x24, 0, 0x41, 0, 0x0f, 0x00, 0x0b) || len(r.data) > 0 {
		return 0, 0, false
	}
	return imp, end, true
}

// result reads how a wrapper stores its import's result.
func (r *reader) result(results string, local byte) bool {
	if results == "" {
		return local == 0
	}
	if len(results) != 1 {
		return false
	}
	want := results[0]
	if want == i32 {
		if !r.skip(0xad) { // i64.extend_i32_u
			return false
		}
		want = i64
	}
	if local != want || !r.skip(0x21, 2, 0x20, 1, 0x20, 2) {
		return false
	}
	ok := false
	switch results[0] {
	case i32:
		ok = r.skip(0x3e, 2) || r.skip(0x37, 3) || r.skip(0x3c, 0)
	case i64:
		ok = r.skip(0x37, 3)
	case f32:
		ok = r.skip(0x38, 2)
	case f64:
		ok = r.skip(0x39, 3)
	}
	r.u32()
	return ok && !r.bad
}

// pcLoops are the bodies of wasm_pc_f_loop: while PAUSE is 0, call the function
// whose number is at SP-8+2 with the resume point that is at SP-8. Go 1.24 reads
// the number as 16 bits, later versions as 32.
var pcLoops = [...]string{
	"\x00\x23\x07\x45\x04\x40\x03\x40\x23\x00\x41\x08\x6b\x2f\x01\x00\x23\x00\x41\x08\x6b\x28\x02\x02\x11\x00\x00\x1a\x23\x07\x45\x0d\x00\x0b\x0b\x41\x00\x24\x07\x0f\x00\x0b",
	"\x00\x23\x07\x45\x04\x40\x03\x40\x23\x00\x41\x08\x6b\x2f\x01\x00\x23\x00\x41\x08\x6b\x2f\x01\x02\x11\x00\x00\x1a\x23\x07\x45\x0d\x00\x0b\x0b\x41\x00\x24\x07\x0f\x00\x0b",
}

// checkLoop finds wasm_pc_f_loop.
func (m *module) checkLoop() error {
	found := false
	for i, body := range m.bodies {
		if m.types[m.funcs[i]] != (funcType{}) || string(body) != pcLoops[0] && string(body) != pcLoops[1] {
			continue
		}
		if found {
			return refuse(BadLoop, "there are two of them")
		}
		found = true
		m.loop = uint32(i)
	}
	if !found {
		return refuse(BadLoop, "no function has its body")
	}
	return nil
}

package tasklet

// A spec is what a tasklet runs: a program, or a function.
type spec struct {
	program  string // CID
	args     []string
	function string // name
	shape    string // of the function's state
}

// sharedSpec returns w, which all tasklets of a function have in common.
func (h *Host) sharedSpec(w spec) *spec {
	if d := h.functions[w.function]; d != nil && d.shape == w.shape {
		return &d.spec
	}
	return &w
}

// spec returns what the tasklet runs.
func (c *Continuation) spec() spec {
	w := spec{program: c.Program, args: c.State.Args}
	if f := c.Function; f != nil {
		w.function, w.shape = f.Name, f.Shape
	}
	return w
}

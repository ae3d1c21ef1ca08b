package tasklet

// A work is what a tasklet runs: a program, or a function.
type work struct {
	program  string // CID
	args     []string
	function string // name
	shape    string // of the function's state
}

// shared returns w, which all tasklets of a function have in common.
func (h *Host) shared(w work) *work {
	if d := h.functions[w.function]; d != nil && d.shape == w.shape {
		return &d.work
	}
	return &w
}

// work returns what the tasklet runs.
func (c *Continuation) work() work {
	w := work{program: c.Program, args: c.State.Args}
	if f := c.Function; f != nil {
		w.function, w.shape = f.Name, f.Shape
	}
	return w
}

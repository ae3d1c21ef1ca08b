package tasklet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Find returns the tasklet whose ID is, or alone begins with, prefix, among
// those that this peer started or hosts. The error wraps [ErrNotFound] or
// [ErrAmbiguous].
func (h *Host) Find(prefix string) (*Tasklet, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := map[ID]bool{}
	for id := range h.started {
		found[id] = strings.HasPrefix(string(id), prefix)
	}
	for id := range h.processes {
		found[id] = strings.HasPrefix(string(id), prefix)
	}
	for id, a := range h.incoming {
		found[id] = found[id] || a.prepared && strings.HasPrefix(string(id), prefix)
	}
	var ids []ID
	for id, is := range found {
		if is {
			ids = append(ids, id)
		}
	}
	switch {
	case prefix == "" || len(ids) == 0:
		return nil, fmt.Errorf("%w: %q was neither started by this peer nor is it here", ErrNotFound, prefix)
	case len(ids) > 1:
		return nil, fmt.Errorf("%w: %q fits %d tasklets; give more of its digits", ErrAmbiguous, prefix, len(ids))
	}
	return &Tasklet{id: ids[0], host: h}, nil
}

// List tells of the tasklets that this peer started or hosts, oldest first.
func (h *Host) List() []Info {
	h.mu.Lock()
	var tasklets []*Tasklet
	for id := range h.started {
		tasklets = append(tasklets, &Tasklet{id: id, host: h})
	}
	for id := range h.processes {
		if h.started[id] == nil {
			tasklets = append(tasklets, &Tasklet{id: id, host: h})
		}
	}
	for id, a := range h.incoming {
		if a.prepared && h.started[id] == nil && h.processes[id] == nil {
			tasklets = append(tasklets, &Tasklet{id: id, host: h})
		}
	}
	h.mu.Unlock()
	infos := make([]Info, 0, len(tasklets))
	for _, t := range tasklets {
		if i, ok := t.known(); ok {
			infos = append(infos, i)
		}
	}
	slices.SortFunc(infos, func(a, b Info) int {
		return cmp.Or(a.Started.Compare(b.Started), strings.Compare(string(a.ID), string(b.ID)))
	})
	return infos
}

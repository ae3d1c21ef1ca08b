package tasklet

import "context"

// watch tells of all output from a position on, of being suspended and resumed,
// and last how the tasklet exited or where it went.
func (p *process) watch(ctx context.Context, from int64, tell func(event) error) error {
	told := Running
	for {
		// Asked before anything is looked at, so that no change is missed.
		changes := p.out.NextChange()
		quiet, err := p.news(&from, &told, tell)
		if !quiet {
			return err
		}
		select {
		case <-changes:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// news tells of what has happened since from and told, which it takes on. Quiet
// says that there is no more for now; else the tasklet is no longer here, or
// tell failed.
func (p *process) news(from *int64, told *State, tell func(event) error) (quiet bool, err error) {
	for {
		if state := p.state(); state != *told && (state == Running || state == Suspended) {
			if err := tell(event{State: state}); err != nil {
				return false, err
			}
			*told = state
		}
		at, data, over := p.out.Read(*from)
		if len(data) > 0 {
			if err := tell(event{Output: data, At: at}); err != nil {
				return false, err
			}
			*from = at + int64(len(data))
			continue
		}
		exited, left := p.status()
		switch {
		case !over:
			return true, nil
		case left != nil:
			return false, tell(event{Moved: left.forward(p.host)})
		}
		return false, tell(event{Exited: exited})
	}
}

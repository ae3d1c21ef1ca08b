package control

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/dstackless/dstackless/tasklet"
)

func (s *Server) tasklets(w http.ResponseWriter, r *http.Request) error {
	return answer(w, append([]tasklet.Info{}, s.peer.Tasklets()...))
}

func (s *Server) spawn(w http.ResponseWriter, r *http.Request) error {
	var req spawnRequest
	if err := read(w, r, &req); err != nil {
		return err
	}
	args := make([]string, len(req.Args))
	for i, a := range req.Args {
		args[i] = string(a)
	}
	t, err := s.peer.Spawn(r.Context(), req.Wasm, args...)
	if err != nil {
		return err
	}
	return tell(w, r, t)
}

// tell answers with what is known of a tasklet to which something was done.
func tell(w http.ResponseWriter, r *http.Request, t *tasklet.Tasklet) error {
	i, err := t.Info(r.Context())
	if err != nil { // it was done all the same
		i = tasklet.Info{ID: t.ID(), State: tasklet.Unknown, Error: err.Error()}
	}
	return answer(w, i)
}

// tasklet reads a request about a tasklet and finds that.
func (s *Server) tasklet(w http.ResponseWriter, r *http.Request) (*tasklet.Tasklet, taskletRequest, error) {
	var req taskletRequest
	if err := read(w, r, &req); err != nil {
		return nil, req, err
	}
	var ref tasklet.Ref
	if ref.UnmarshalText([]byte(req.Tasklet)) == nil {
		t, err := ref.Open(r.Context(), s.peer)
		return t, req, err
	}
	t, err := s.peer.Tasklet(req.Tasklet)
	if errors.Is(err, tasklet.ErrNotFound) {
		// A whole ID is that of a tasklet anywhere.
		if away, e := s.peer.OpenTasklet(r.Context(), tasklet.ID(req.Tasklet)); e == nil {
			return away, req, nil
		}
	}
	return t, req, err
}

func (s *Server) info(w http.ResponseWriter, r *http.Request) error {
	t, _, err := s.tasklet(w, r)
	if err != nil {
		return err
	}
	i, err := t.Info(r.Context())
	if err != nil {
		return err
	}
	return answer(w, i)
}

func (s *Server) ref(w http.ResponseWriter, r *http.Request) error {
	t, _, err := s.tasklet(w, r)
	if err != nil {
		return err
	}
	ref, err := t.Ref()
	if err != nil {
		return err
	}
	return answer(w, ref)
}

func (s *Server) where(w http.ResponseWriter, r *http.Request) error {
	t, _, err := s.tasklet(w, r)
	if err != nil {
		return err
	}
	peer, err := t.Where(r.Context())
	if err != nil {
		return err
	}
	return answer(w, Place{Tasklet: t.ID(), Peer: peer})
}

func (s *Server) move(w http.ResponseWriter, r *http.Request) error {
	t, req, err := s.tasklet(w, r)
	if err != nil {
		return err
	}
	to, err := s.peer.Lookup(r.Context(), req.Peer)
	if err != nil {
		return err
	}
	before, err := t.Info(r.Context())
	if err != nil {
		return err
	}
	if err := t.Move(r.Context(), to); err != nil {
		return err
	}
	return answer(w, moved(r.Context(), t, before, to))
}

// hearsay is how long a move waits for the word of what it cost, which comes
// to the tasklet's origin by itself and a moment later.
const hearsay = time.Second

// moved returns what this peer knows of a tasklet that has moved to peer.
func moved(ctx context.Context, t *tasklet.Tasklet, before tasklet.Info, peer string) tasklet.Info {
	ctx, cancel := context.WithTimeout(ctx, hearsay)
	defer cancel()
	for {
		info, err := t.Info(ctx)
		n := len(info.Moves)
		switch {
		case err != nil, info.State == tasklet.Unknown:
			// It was a guest here, and only its origin follows it further.
			before.Host = peer
			return before
		case n > 0 && info.Moves[n-1].To == peer:
			return info
		case ctx.Err() != nil:
			info.Host = peer
			return info
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (s *Server) kill(w http.ResponseWriter, r *http.Request) error {
	t, _, err := s.tasklet(w, r)
	if err != nil {
		return err
	}
	if err := t.Kill(r.Context()); err != nil {
		return err
	}
	return tell(w, r, t)
}

func (s *Server) suspend(w http.ResponseWriter, r *http.Request) error {
	t, _, err := s.tasklet(w, r)
	if err != nil {
		return err
	}
	if err := t.Suspend(r.Context()); err != nil {
		return err
	}
	return tell(w, r, t)
}

func (s *Server) resume(w http.ResponseWriter, r *http.Request) error {
	t, _, err := s.tasklet(w, r)
	if err != nil {
		return err
	}
	if err := t.Resume(r.Context()); err != nil {
		return err
	}
	return tell(w, r, t)
}

func (s *Server) decide(w http.ResponseWriter, r *http.Request) error {
	t, req, err := s.tasklet(w, r)
	if err != nil {
		return err
	}
	if err := t.Decide(r.Context(), req.Run); err != nil {
		return err
	}
	return tell(w, r, t)
}

func (s *Server) drain(w http.ResponseWriter, r *http.Request) error {
	var req drainRequest
	if err := read(w, r, &req); err != nil {
		return err
	}
	moved, err := s.peer.Drain(r.Context(), req.Peers...)
	d := Drained{Moved: append([]tasklet.ID{}, moved...)}
	if err != nil {
		d.Error = cause(r.Context(), err).Error()
	}
	return answer(w, d)
}

func (s *Server) wait(w http.ResponseWriter, r *http.Request) error {
	t, _, err := s.tasklet(w, r)
	if err != nil {
		return err
	}
	status, err := t.Wait(r.Context())
	end := End{Tasklet: t.ID(), Status: status, Killed: errors.Is(err, tasklet.ErrKilled), Limit: tasklet.LimitOf(err)}
	crash := (*tasklet.CrashError)(nil)
	switch {
	case errors.As(err, &crash):
		end.Error, end.Stack = err.Error(), crash.Stack
	case errors.Is(err, tasklet.ErrLimit), err != nil && status >= 0: // a function returned it
		end.Error = err.Error()
	case err != nil && !end.Killed:
		return err
	}
	return answer(w, end)
}

func (s *Server) output(w http.ResponseWriter, r *http.Request) error {
	t, req, err := s.tasklet(w, r)
	if err != nil {
		return err
	}
	out, err := t.Output(r.Context(), req.Follow)
	if err != nil {
		return err
	}
	defer out.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Trailer", trailerError)
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w).Flush
	flush()
	buf := make([]byte, 32<<10)
	for {
		n, err := out.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return nil // nobody reads any more
			}
			flush()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			w.Header().Set(trailerError, oneLine(cause(r.Context(), err)))
			return nil
		}
	}
}

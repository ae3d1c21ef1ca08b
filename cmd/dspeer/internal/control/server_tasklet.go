package control

import (
	"errors"
	"io"
	"net/http"

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
	return answer(w, t.Info())
}

// tasklet reads a request about a tasklet and finds that.
func (s *Server) tasklet(w http.ResponseWriter, r *http.Request) (*tasklet.Tasklet, taskletRequest, error) {
	var req taskletRequest
	if err := read(w, r, &req); err != nil {
		return nil, req, err
	}
	t, err := s.peer.Tasklet(req.Tasklet)
	return t, req, err
}

func (s *Server) move(w http.ResponseWriter, r *http.Request) error {
	t, req, err := s.tasklet(w, r)
	if err != nil {
		return err
	}
	if err := t.Move(r.Context(), req.Peer); err != nil {
		return err
	}
	return answer(w, t.Info())
}

func (s *Server) kill(w http.ResponseWriter, r *http.Request) error {
	t, _, err := s.tasklet(w, r)
	if err != nil {
		return err
	}
	if err := t.Kill(r.Context()); err != nil {
		return err
	}
	return answer(w, t.Info())
}

func (s *Server) wait(w http.ResponseWriter, r *http.Request) error {
	t, _, err := s.tasklet(w, r)
	if err != nil {
		return err
	}
	status, err := t.Wait(r.Context())
	killed := errors.Is(err, tasklet.ErrKilled)
	if err != nil && !killed {
		return err
	}
	return answer(w, End{Tasklet: t.ID(), Status: status, Killed: killed})
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

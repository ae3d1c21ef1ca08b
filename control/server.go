package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/tasklet"
)

// errStopping is what clients are told when the peer shuts down.
var errStopping = errors.New("the peer is shutting down")

// patience is how long Close waits for clients to hear of the end.
const patience = 5 * time.Second

// A Server serves a peer to the clients of its control socket.
type Server struct {
	peer   *dstackless.Peer
	socket *socket
	http   *http.Server
	left   leftovers

	stop   context.CancelCauseFunc // ends the context of every request
	done   chan struct{}           // closed when nothing is served any more
	failed error                   // set before done is closed
	close  sync.Once

	unbound error // of removing the socket; set by close
}

// Serve has the commands of dspeer, and each [Client], steer peer over a socket in
// the folder dir, until Close: "dspeer --data DIR ps" shows its tasklets. As a
// rule dir is the peer's data folder, which no other peer can use then. A socket
// that is there is replaced, so that of two peers with one folder the second is
// heard, and the first leaves that socket alone. Only the user that runs the peer
// can open the socket. Nil log stands for silence.
//
// Close the server before the peer.
func Serve(dir string, peer *dstackless.Peer, log *slog.Logger) (*Server, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	socket, err := bind(dir)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(context.Background())
	s := &Server{peer: peer, socket: socket, stop: stop, done: make(chan struct{})}
	s.left.log = log
	s.http = &http.Server{
		Handler:           s.routes(),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
			s.failed = fmt.Errorf("control socket: %w", err)
		}
	}()
	return s, nil
}

// Done is closed when the server has stopped, by Close or by itself.
func (s *Server) Done() <-chan struct{} { return s.done }

// Close ends all requests, waits until they are ended, and removes the socket.
// It returns why the server had stopped by itself, if it had. It is idempotent.
func (s *Server) Close() error {
	s.close.Do(func() {
		s.stop(errStopping)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if s.http.Shutdown(ctx) != nil {
			s.http.Close()
		}
		<-s.done
		s.unbound = s.socket.remove()
		s.socket.close()
	})
	return errors.Join(s.failed, s.unbound)
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+pathSelf, handler(s.self))
	mux.Handle("GET "+pathPeers, handler(s.peers))
	mux.Handle("POST "+pathConnect, handler(s.connect))
	mux.Handle("POST "+pathLookup, handler(s.lookup))
	mux.Handle("POST "+pathBlock, handler(s.block))
	mux.Handle("POST "+pathUnblock, handler(s.unblock))
	mux.Handle("GET "+pathBlocked, handler(s.blocked))
	mux.Handle("GET "+pathTasklets, handler(s.tasklets))
	mux.Handle("POST "+pathInfo, handler(s.info))
	mux.Handle("POST "+pathRef, handler(s.ref))
	mux.Handle("POST "+pathSpawn, handler(s.spawn))
	mux.Handle("POST "+pathMove, handler(s.move))
	mux.Handle("POST "+pathKill, handler(s.kill))
	mux.Handle("POST "+pathSuspend, handler(s.suspend))
	mux.Handle("POST "+pathResume, handler(s.resume))
	mux.Handle("POST "+pathDecide, handler(s.decide))
	mux.Handle("POST "+pathWhere, handler(s.where))
	mux.Handle("POST "+pathDrain, handler(s.drain))
	mux.Handle("POST "+pathWait, handler(s.wait))
	mux.Handle("POST "+pathOutput, handler(s.output))
	mux.Handle("GET "+pathChannels, handler(s.channels))
	mux.Handle("POST "+pathChannel, handler(s.channel))
	mux.Handle("/", handler(func(http.ResponseWriter, *http.Request) error { return errNoRoute }))
	return mux
}

// A handler answers a request. An error is what it returns before it wrote
// anything.
type handler func(http.ResponseWriter, *http.Request) error

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := h(w, r)
	if err == nil {
		return
	}
	err = cause(r.Context(), err)
	body, _ := marshal(failure{Error: err.Error(), Limit: tasklet.LimitOf(err)}) // texts and numbers have a form
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(statusOf(err))
	w.Write(body) // who is gone does not read it
}

// cause returns what made err, if that was the end of the server.
func cause(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errStopping) {
		return errStopping
	}
	return err
}

// read reads the one JSON value that is the request's body into v.
func read(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return err
	}
	return unmarshal(body, v)
}

// answer answers with v as JSON.
func answer(w http.ResponseWriter, v any) error {
	body, err := marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body) // who is gone does not read it
	return nil
}

package control

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/dstackless/dstackless/channel"
)

func (s *Server) self(w http.ResponseWriter, r *http.Request) error {
	return answer(w, Self{ID: s.peer.ID(), Name: s.peer.Name(), Addrs: s.peer.Addrs()})
}

func (s *Server) peers(w http.ResponseWriter, r *http.Request) error {
	peers := s.peer.Peers()
	list := make([]Neighbor, len(peers))
	ctx, cancel := context.WithTimeout(r.Context(), measuring)
	defer cancel()
	var wg sync.WaitGroup
	for i, p := range peers {
		list[i] = Neighbor{
			ID: p.ID.String(), Addr: p.Addr, Inbound: p.Inbound, Relayed: p.Relayed, Since: p.Since,
			Punched: p.Punched, Transport: p.Transport, ClockAhead: p.ClockAhead,
		}
		if p.Relay != "" {
			list[i].Relay = p.Relay.String()
		}
		wg.Go(func() { list[i].Name, _ = s.peer.NameOf(ctx, list[i].ID) })
		wg.Go(func() { list[i].RoundTrip, _ = s.peer.RoundTrip(ctx, list[i].ID) })
	}
	wg.Wait()
	return answer(w, list)
}

// measuring is how long peers have to answer, to have their round trip and
// their name shown.
const measuring = time.Second

func (s *Server) connect(w http.ResponseWriter, r *http.Request) error {
	var req connectRequest
	if err := read(w, r, &req); err != nil {
		return err
	}
	id, err := s.peer.Connect(r.Context(), req.Addr)
	if err != nil {
		return err
	}
	return answer(w, Self{ID: id, Addrs: []string{req.Addr}})
}

func (s *Server) lookup(w http.ResponseWriter, r *http.Request) error {
	var req peerRequest
	if err := read(w, r, &req); err != nil {
		return err
	}
	id, err := s.peer.Lookup(r.Context(), req.Peer)
	if err != nil {
		return err
	}
	return answer(w, Found{ID: id})
}

func (s *Server) block(w http.ResponseWriter, r *http.Request) error {
	var req peerRequest
	if err := read(w, r, &req); err != nil {
		return err
	}
	if err := s.peer.Block(r.Context(), req.Peer); err != nil {
		return err
	}
	return s.blocked(w, r)
}

func (s *Server) unblock(w http.ResponseWriter, r *http.Request) error {
	var req peerRequest
	if err := read(w, r, &req); err != nil {
		return err
	}
	if err := s.peer.Unblock(req.Peer); err != nil {
		return err
	}
	return s.blocked(w, r)
}

func (s *Server) blocked(w http.ResponseWriter, r *http.Request) error {
	return answer(w, append([]string{}, s.peer.Blocked()...))
}

func (s *Server) channels(w http.ResponseWriter, r *http.Request) error {
	return answer(w, append([]channel.Info{}, s.peer.Channels()...))
}

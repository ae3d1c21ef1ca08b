package control

import (
	"net/http"

	"github.com/dstackless/dstackless/channel/network"
)

func (s *Server) self(w http.ResponseWriter, r *http.Request) error {
	return answer(w, Self{ID: s.peer.ID(), Addrs: s.peer.Addrs()})
}

func (s *Server) peers(w http.ResponseWriter, r *http.Request) error {
	list := []Neighbor{}
	for _, p := range s.peer.Peers() {
		list = append(list, Neighbor{
			ID: p.ID.String(), Addr: p.Addr, Inbound: p.Inbound, Relayed: p.Relayed, Since: p.Since,
		})
	}
	return answer(w, list)
}

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

func (s *Server) channels(w http.ResponseWriter, r *http.Request) error {
	return answer(w, append([]network.Info{}, s.peer.Channels()...))
}

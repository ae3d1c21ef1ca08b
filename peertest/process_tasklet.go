package peertest

import (
	"context"

	"github.com/dstackless/dstackless/tasklet"
)

// Spawn starts a program on the peer, as dstackless.Peer.Spawn does, and returns
// the tasklet's ID.
func (p *Process) Spawn(ctx context.Context, wasm []byte, args ...string) (id string, err error) {
	err = p.current().call(ctx, request{Do: "spawn", Value: wasm, Args: args}, &id)
	return id, err
}

// Move moves a tasklet that the peer started or hosts to the peer with the ID to.
func (p *Process) Move(ctx context.Context, id, to string) error {
	return p.current().call(ctx, request{Do: "move", Name: id, Args: []string{to}}, nil)
}

// Wait waits until a tasklet that the peer started or hosts has exited, and
// returns its exit status.
func (p *Process) Wait(ctx context.Context, id string) (status int, err error) {
	err = p.current().call(ctx, request{Do: "wait", Name: id}, &status)
	return status, err
}

// Tasklets lists the tasklets that the peer started or hosts.
func (p *Process) Tasklets(ctx context.Context) ([]tasklet.Info, error) {
	var list []tasklet.Info
	err := p.current().call(ctx, request{Do: "tasklets"}, &list)
	return list, err
}

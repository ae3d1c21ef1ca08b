package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet"
)

// A Client talks to the peer that runs on a data folder. Its methods return the
// peer's errors, a [NotRunningError] if there is no peer, or ctx's error if
// that ends first: the peer then gives the request up.
type Client struct {
	http *http.Client
}

// NewClient returns a client of the peer that runs on the data folder dir. It
// connects when it is used.
func NewClient(dir string) *Client {
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, dir) },
		DisableCompression: true,
	}}}
}

// Close gives up the client's idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Self tells of the peer.
func (c *Client) Self(ctx context.Context) (self Self, err error) {
	return self, c.call(ctx, http.MethodGet, pathSelf, nil, &self)
}

// Peers lists the connected peers.
func (c *Client) Peers(ctx context.Context) (list []Neighbor, err error) {
	return list, c.call(ctx, http.MethodGet, pathPeers, nil, &list)
}

// Connect connects the peer to the one at addr, and returns its ID.
func (c *Client) Connect(ctx context.Context, addr string) (string, error) {
	var other Self
	err := c.call(ctx, http.MethodPost, pathConnect, connectRequest{Addr: addr}, &other)
	return other.ID, err
}

// Lookup returns the ID of the peer that a name, or the beginning of an ID,
// stands for.
func (c *Client) Lookup(ctx context.Context, peer string) (string, error) {
	var found Found
	err := c.call(ctx, http.MethodPost, pathLookup, peerRequest{Peer: peer}, &found)
	return found.ID, err
}

// Block ends all connections with a peer, and has none made again.
func (c *Client) Block(ctx context.Context, peer string) error {
	var blocked []string
	return c.call(ctx, http.MethodPost, pathBlock, peerRequest{Peer: peer}, &blocked)
}

// Unblock ends that for the peer with the ID.
func (c *Client) Unblock(ctx context.Context, id string) error {
	var blocked []string
	return c.call(ctx, http.MethodPost, pathUnblock, peerRequest{Peer: id}, &blocked)
}

// Blocked lists the IDs of the blocked peers.
func (c *Client) Blocked(ctx context.Context) (ids []string, err error) {
	return ids, c.call(ctx, http.MethodGet, pathBlocked, nil, &ids)
}

// Channels lists the open channels.
func (c *Client) Channels(ctx context.Context) (list []channel.Info, err error) {
	return list, c.call(ctx, http.MethodGet, pathChannels, nil, &list)
}

// Tasklets lists the tasklets that the peer started or hosts.
func (c *Client) Tasklets(ctx context.Context) (list []tasklet.Info, err error) {
	return list, c.call(ctx, http.MethodGet, pathTasklets, nil, &list)
}

// Ref returns a handle on a tasklet. Its text stands for the tasklet wherever a
// method takes an ID, at any peer.
func (c *Client) Ref(ctx context.Context, id string) (ref tasklet.Ref, err error) {
	return ref, c.call(ctx, http.MethodPost, pathRef, taskletRequest{Tasklet: id}, &ref)
}

// Info tells of a tasklet, named by its ID or the beginning of it.
func (c *Client) Info(ctx context.Context, id string) (info tasklet.Info, err error) {
	return info, c.call(ctx, http.MethodPost, pathInfo, taskletRequest{Tasklet: id}, &info)
}

// Spawn starts a program.
func (c *Client) Spawn(ctx context.Context, wasm []byte, args ...string) (info tasklet.Info, err error) {
	req := spawnRequest{Wasm: wasm}
	for _, a := range args {
		req.Args = append(req.Args, []byte(a))
	}
	return info, c.call(ctx, http.MethodPost, pathSpawn, req, &info)
}

// Move moves a tasklet, named by its ID or the beginning of it, to a peer.
func (c *Client) Move(ctx context.Context, id, peer string) (info tasklet.Info, err error) {
	return info, c.call(ctx, http.MethodPost, pathMove, taskletRequest{Tasklet: id, Peer: peer}, &info)
}

// Kill ends a tasklet.
func (c *Client) Kill(ctx context.Context, id string) (info tasklet.Info, err error) {
	return info, c.call(ctx, http.MethodPost, pathKill, taskletRequest{Tasklet: id}, &info)
}

// Suspend puts a tasklet on its host's disk.
func (c *Client) Suspend(ctx context.Context, id string) (info tasklet.Info, err error) {
	return info, c.call(ctx, http.MethodPost, pathSuspend, taskletRequest{Tasklet: id}, &info)
}

// Resume makes a suspended tasklet go on.
func (c *Client) Resume(ctx context.Context, id string) (info tasklet.Info, err error) {
	return info, c.call(ctx, http.MethodPost, pathResume, taskletRequest{Tasklet: id}, &info)
}

// Decide makes an end of a tasklet's waiting for another peer's word.
func (c *Client) Decide(ctx context.Context, id string, run bool) (info tasklet.Info, err error) {
	return info, c.call(ctx, http.MethodPost, pathDecide, taskletRequest{Tasklet: id, Run: run}, &info)
}

// Where tells which peer hosts a tasklet.
func (c *Client) Where(ctx context.Context, id string) (p Place, err error) {
	return p, c.call(ctx, http.MethodPost, pathWhere, taskletRequest{Tasklet: id}, &p)
}

// Drain moves all tasklets to other peers.
func (c *Client) Drain(ctx context.Context, peers ...string) (d Drained, err error) {
	return d, c.call(ctx, http.MethodPost, pathDrain, drainRequest{Peers: peers}, &d)
}

// Wait waits until a tasklet has ended.
func (c *Client) Wait(ctx context.Context, id string) (end End, err error) {
	return end, c.call(ctx, http.MethodPost, pathWait, taskletRequest{Tasklet: id}, &end)
}

// Output copies what a tasklet wrote to w, and what it goes on to write if
// follow is set.
func (c *Client) Output(ctx context.Context, id string, follow bool, w io.Writer) error {
	body, err := json.Marshal(taskletRequest{Tasklet: id, Follow: follow})
	if err != nil {
		return err
	}
	res, err := c.do(ctx, http.MethodPost, pathOutput, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(w, res.Body); err != nil {
		return lost(ctx, err)
	}
	if text := res.Trailer.Get(trailerError); text != "" {
		return errors.New(text)
	}
	return nil
}

// call sends req as JSON, unless it is nil, and reads the answer into v.
func (c *Client) call(ctx context.Context, method, path string, req, v any) error {
	var body io.Reader
	if req != nil {
		b, err := json.Marshal(req)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	res, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(v); err != nil {
		return lost(ctx, fmt.Errorf("the peer's answer cannot be read: %w", err))
	}
	return nil
}

// do makes a request and returns the response if it is a good one.
func (c *Client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://dspeer"+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the made-up URL
		}
		var away *NotRunningError
		if errors.As(err, &away) {
			return nil, away
		}
		return nil, lost(ctx, err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	var f failure
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&f); err != nil || f.Error == "" {
		return nil, fmt.Errorf("control socket: unexpected answer: %s", res.Status)
	}
	return nil, &peerError{f}
}

// lost says that the peer ended a conversation before its end.
func lost(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return fmt.Errorf("the peer closed the connection: %w", io.ErrUnexpectedEOF)
	}
	return err
}

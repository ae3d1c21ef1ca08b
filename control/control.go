// Package control lets one process steer a peer that runs in another, over a
// socket in the peer's data folder. A program that is a peer calls [Serve], and
// all commands of dspeer work on it, given its data folder. A [Client] does what
// they do.
//
// It speaks HTTP over a Unix domain socket, which only the user that runs the
// peer can open. Lists are GET requests and all else is POST, with bodies in
// JSON. A tasklet's output is streamed as it is. A channel is used by a
// request and a response that go on side by side, one JSON value after
// another: see [Channel].
//
// A failed request is answered with a status of 400 or above and the body
// {"error": "..."}. A stream of output that breaks off says why in a trailer.
package control

import (
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet"
)

// Self tells of the peer that serves the socket.
type Self struct {
	ID    string   `json:"id"`
	Name  string   `json:"name,omitempty"` // what it calls itself
	Addrs []string `json:"addrs"`          // full multiaddrs, with /p2p/
}

// A Neighbor is a connected peer.
type Neighbor struct {
	ID      string    `json:"id"`
	Name    string    `json:"name,omitempty"` // what it calls itself
	Addr    string    `json:"addr"`           // its end of the connection, a multiaddr
	Inbound bool      `json:"inbound"`        // it dialed this peer
	Relayed bool      `json:"relayed"`        // the connection is a limited one through a relay
	Since   time.Time `json:"since"`

	Relay     string `json:"relay,omitempty"`   // the relay's ID
	Punched   bool   `json:"punched,omitempty"` // a direct connection to a peer that was relayed before
	Transport string `json:"transport"`         // "quic" or "tcp"; of a relayed connection, to the relay
	// RoundTrip is how long a message took there and back just now; 0 if it
	// was not answered within a second.
	RoundTrip time.Duration `json:"round_trip"`
	// ClockAhead is how far the peer's clock is ahead of this one's, as the peer
	// says; 0 if that is not known.
	ClockAhead time.Duration `json:"clock_ahead,omitempty"`
}

// An End is how a tasklet ended.
type End struct {
	Tasklet tasklet.ID `json:"tasklet"`
	Status  int        `json:"status"` // exit status
	Killed  bool       `json:"killed,omitempty"`
	Error   string     `json:"error,omitempty"` // why, if it crashed or exceeded a limit; of a function, what it returned
	Stack   string     `json:"stack,omitempty"` // of a crash

	Limit *tasklet.LimitError `json:"limit,omitempty"` // that Error is about, if it is about one
}

// The paths of the requests.
const (
	pathSelf     = "/v1/self"
	pathPeers    = "/v1/peers"
	pathConnect  = "/v1/connect"
	pathLookup   = "/v1/lookup"
	pathBlock    = "/v1/block"
	pathUnblock  = "/v1/unblock"
	pathBlocked  = "/v1/blocked"
	pathTasklets = "/v1/tasklets"
	pathInfo     = "/v1/info"
	pathRef      = "/v1/ref"
	pathSpawn    = "/v1/spawn"
	pathMove     = "/v1/move"
	pathKill     = "/v1/kill"
	pathSuspend  = "/v1/suspend"
	pathResume   = "/v1/resume"
	pathDecide   = "/v1/decide"
	pathDrain    = "/v1/drain"
	pathWhere    = "/v1/where"
	pathWait     = "/v1/wait"
	pathOutput   = "/v1/output"
	pathChannels = "/v1/channels"
	pathChannel  = "/v1/channel"
)

// maxRequest is how long a request may be that is not a stream: 512 MiB, the
// largest being the program of a spawn.
const maxRequest = 512 << 20

// trailerError is the trailer that says why a stream broke off.
const trailerError = "Dspeer-Error"

type failure struct {
	Error string              `json:"error"`
	Limit *tasklet.LimitError `json:"limit,omitempty"` // that it is about
}

// A peerError is an error of the peer that a client talks to.
type peerError struct{ failure }

func (e *peerError) Error() string { return e.failure.Error }

func (e *peerError) Unwrap() error {
	if e.Limit == nil {
		return nil
	}
	return e.Limit
}

type connectRequest struct {
	Addr string `json:"addr"`
}

// A peerRequest names a peer, by what the request wants.
type peerRequest struct {
	Peer string `json:"peer"`
}

// A Found is what a name or the beginning of an ID stands for.
type Found struct {
	ID string `json:"id"`
}

type spawnRequest struct {
	Wasm []byte `json:"wasm"`
	// Args are bytes because JSON's strings would not keep all of them.
	Args [][]byte `json:"args,omitempty"`
}

// A taskletRequest names a tasklet by its ID, the beginning of it, or the text of
// a tasklet.Ref.
type taskletRequest struct {
	Tasklet string `json:"tasklet"`
	Peer    string `json:"peer,omitempty"`   // of a move: ID, name or beginning of the ID
	Follow  bool   `json:"follow,omitempty"` // of output
	Run     bool   `json:"run,omitempty"`    // of decide
}

type drainRequest struct {
	Peers []string `json:"peers,omitempty"`
}

// A Place is where a tasklet is.
type Place struct {
	Tasklet tasklet.ID `json:"tasklet"`
	Peer    string     `json:"peer"`
}

// A Drained is what came of moving all tasklets away.
type Drained struct {
	Moved []tasklet.ID `json:"moved"`
	// Error tells of those that did not move.
	Error string `json:"error,omitempty"`
}

// An op is what a client wants of the channel that it uses.
type op string

const (
	opOpen    op = "open"    // the channel; the first order, and only that
	opSend    op = "send"    // a value; answered with a result
	opReceive op = "receive" // a value; answered with a result
	opTaken   op = "taken"   // the last value that was received is safe
	opStop    op = "stop"    // withdraw the operation that waits
)

// An order goes from the client to the peer.
type order struct {
	Op      op     `json:"op"`
	Channel []byte `json:"channel,omitempty"`
	Value   []byte `json:"value,omitempty"`
}

// A result is what became of an order.
type result struct {
	Value []byte       `json:"value,omitempty"`
	Code  channel.Code `json:"code,omitempty"` // kind of the error; canceled if the client stopped it
	Error string       `json:"error,omitempty"`
}

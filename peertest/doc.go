// Package peertest runs networks of peers for tests, as net/http/httptest runs
// servers: any number of them in one process, on links that a test can cut,
// slow down and silence, with peers that it can kill, restart, and stop in the
// middle of what they say to each other.
//
//	func TestFailover(t *testing.T) {
//		peers := peertest.New(t, 3, nil)
//		jobs, err := channel.Open[string](t.Context(), peers.Peer(1), "jobs")
//		...
//		peers.Kill(0)
//		...
//	}
//
// A [Network] is closed when its test ends, and the test fails if anything that
// was begun for it still runs then.
//
// # What is real
//
// By default the peers are connected by TCP over loopback: real sockets, real
// libp2p hosts, real time. Each connection passes through the harness, which
// copies its bytes and is where faults are made. What a peer sees of a fault is
// what its kernel would tell it.
package peertest

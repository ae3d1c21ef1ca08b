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
// what its kernel would tell it. [Options.QUIC] has them use QUIC.
//
// # Virtual time
//
// With [Options.Simulated] there are no sockets: the same peers exchange QUIC
// packets in memory. In a bubble of testing/synctest time is then virtual: it
// stands still while anybody computes, and leaps when all wait.
//
//	synctest.Test(t, func(t *testing.T) {
//		peers := peertest.New(t, 10, &peertest.Options{Simulated: true, Latency: 50 * time.Millisecond})
//		...
//	})
//
// So latencies, timeouts and patience cost no time, and can be measured to the
// nanosecond. Computing costs what it costs: ten peers some two seconds.
// Everything that such a test waits for must be in the bubble: no files, no
// processes, no tasklets that sleep in their sandbox by other clocks.
//
// # Faults
//
// [Network.Kill] and [Network.Restart] end a peer and begin it anew;
// [Network.Partition] and [Network.Mute] sever and silence links until
// [Network.Heal]; [Network.Cut] resets connections, [Network.Slow] has a link
// take time. [Network.StopAt] has a peer stand still at a [Step]: before it says
// something, after, or when it hears it. There it can be killed, or let go on.
//
// # Real crashes
//
// A [Process] is a peer in a process of its own. [Process.Kill] is SIGKILL, and
// what the peer has written to its data folder is what the next life finds. Its
// channels are used as those of a peer in the test's process: the one is a
// channel.Space as the other. TestMain must call [RunProcess].
//
// # Hostile peers
//
// A [Stranger] is a libp2p host without limits that dials from a loopback address
// of its own, and a [Swarm] is many of them that do all attacks there are against
// one peer, side by side:
//
//	victim := peertest.StartProcess(t, nil)
//	swarm := peertest.StartSwarm(t, victim.Addrs()[0], nil)
//	... // what honest peers do meanwhile
//	size, err := victim.Resident()
//
// A new attack is a function in the table attacks, which does it once.
package peertest

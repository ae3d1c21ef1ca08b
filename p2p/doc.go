// Package p2p is a peer's place in the network: its key, its connections and
// its streams.
//
// A [Node] is one libp2p host, cut down to what this module uses. It listens on
// QUIC and TCP, proves its identity with an Ed25519 key, and carries any number
// of streams per connection. Outside of its LAN it finds nobody by itself: peers
// are reached by a full address ([Node.Connect]) or by an [ID] whose addresses
// something else, such as package dht, has put in the node's address book.
//
// # Relays and lasting streams
//
// A node that cannot be dialed keeps reservations at relays, and is connected
// through these until a hole is punched: that is tried at once, again as long as
// the connection is relayed, at longer and longer intervals of up to 10 minutes,
// and anew when the node is seen at another address. A relay cuts each connection
// after so many bytes and minutes. So a stream to a peer that only a relay reaches
// is a lasting one: the two sides count what they received, and go on over the
// next connection. [Node.OpenResumable] gives such a stream to any peer.
//
// # Private networks
//
// With a [NetworkKey], each connection begins with a proof that both sides have
// it, on the connection's first stream and bound to both peer IDs, below
// libp2p's swarm. libp2p's own private networks work over TCP alone.
//
// # Strangers
//
// One peer may have 8 connections here and 2,048 streams, 1,024 of them of one
// protocol; both numbers grow a little with the machine's memory. That many do
// not keep others out: all together may have 16,384, half of which need not have
// said their protocol yet, for which each has 10 seconds. Over TCP a peer is cut
// off whose streams need more than its share of memory, which is 64 MiB and more
// on a larger machine. A node has 1,024 connections, 128 with one address. What lasting
// streams have received and nobody reads is 16 MiB for one peer, 128 MiB for all.
// [Node.Block] keeps a peer out.
//
// # What is sent without being asked for
//
// A node sends multicast DNS on its LANs, and asks its router for a port, unless
// the options say no. Every 5 seconds it asks the peers that it keeps, and its
// relays, whether they are there. One that listens on loopback only does none of
// this, nor anything else that leaves the machine.
//
// Every method of a Node may be called from several goroutines at once.
package p2p

// Package p2p is a peer's place in the network: its key, its connections and
// its streams.
//
// A [Node] is one libp2p host, cut down to what this module uses. It listens on
// QUIC and TCP, proves its identity with an Ed25519 key, and carries any number
// of streams per connection. It finds nobody by itself: peers are reached by a
// full address ([Node.Connect]) or by an [ID] whose addresses something else,
// such as package dht, has put in the node's address book.
//
// Every method of a Node may be called from several goroutines at once.
package p2p

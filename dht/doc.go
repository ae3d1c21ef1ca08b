// Package dht finds peers by name and by ID, with nobody in charge: a Kademlia
// distributed hash table among the peers of this network and no other, under
// the protocol prefix /dstackless (Maymounkov and Mazières, IPTPS 2002; the
// libp2p kad-dht specification).
//
// A peer announces a [Key] to say that it has something to do with what the key
// stands for, and any peer that knows the key can find it. Who holds a record
// of the table sees keys, never names.
//
// A peer alone in its network is in order: its announcements wait, and are made
// when the first other peer is met. A peer is met by connecting to it with
// p2p.Node.Connect; the rest of the network is found from there.
//
// Records are claims: a peer found under a key may be gone, or lie. Ask it.
package dht

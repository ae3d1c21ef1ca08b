// Package dht finds peers by name and by ID, with nobody in charge: a Kademlia
// distributed hash table among the peers of this network and no other, under
// the protocol prefix /dstackless (Maymounkov and Mazières, IPTPS 2002; the
// libp2p kad-dht specification).
//
// A peer announces a [Key] to say that it has something to do with what the key
// stands for, and any peer that knows the key can find it. Who holds a record
// of the table sees keys, never names.
//
// A peer may also call itself by a [Name], for people to type. It is announced
// under a hash of the name, and who looks the name up asks each peer that is
// announced, and each that is connected, for its claim, signed by its key. So all
// claims to one name are found: a value of the table is one value, and whoever
// writes last, or is nearest, would choose it. What the table stores is what it
// stores for any key, and expires as that does.
//
// A peer alone in its network is in order: its announcements wait, and are made
// when the first other peer is met. A peer is met by connecting to it with
// p2p.Node.Connect; the rest of the network is found from there.
//
// Records are claims: a peer found under a key may be gone, or lie. Ask it.
package dht

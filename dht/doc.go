// Package dht finds peers by name and by ID without a central server. It is a
// Kademlia distributed hash table among the peers of this network and no others,
// under the protocol prefix /dstackless (Maymounkov and Mazières, IPTPS 2002; the
// libp2p kad-dht specification).
//
// A peer announces a [Key] to say that it has something to do with what the key
// stands for. Any peer that knows the key can find it. Peers that store records of
// the table see keys, never names.
//
// A peer may also have a [Name], for people to type. The peer is announced under a
// hash of the name. A lookup asks each peer that is announced under the hash, and
// each peer that is connected, for its claim to the name, which the peer has signed.
// So a lookup finds all claims. A value of the table would be one value, chosen by
// the peer that writes last or is nearest. The announcements of a name are records
// like any others, and expire like them.
//
// A peer alone in its network is in order: its announcements wait, and are made when
// the first other peer is met. A peer is met by connecting to it with
// p2p.Node.Connect; the rest of the network is found from there.
//
// Records are not verified. A peer found under a key may be gone, and a record may
// be a lie. Ask the peer.
//
// # What we work around in go-libp2p-kad-dht
//
// Each row is something of kad-dht v0.42.2 that this package replaces or wraps. Look
// at all of them when the version changes. Those of go-libp2p are in package p2p.
//
//	ours               what kad-dht does                              unnecessary when
//	----               -----------------                              ----------------
//	tableHost          takes 4 MiB of memory for each message that    it allocates as bytes
//	                   is announced to it                             arrive
//	tableHost          waits for a direct connection to a peer that   it allows limited
//	                   is connected through a relay                   connections
//	tableConnManager   tells nobody when a peer enters or leaves      the routing table's hooks
//	                   the routing table                              can be set before it runs
//	providers          keeps records in a datastore that copies all   its provider store has an
//	                   of them for one question, without limits       index by key, and limits
//	announcer          has one interval for all keys (reprovider),    the reprovider takes keys
//	                   and does not notice that a table has filled    one by one
//
// All methods of a [DHT] are safe for concurrent use.
package dht

// Package p2p connects peers: it holds a peer's key, its connections and its
// streams.
//
// A [Node] is one libp2p host, with only what this module uses. It listens on QUIC
// and TCP, proves its identity with an Ed25519 key, and carries any number of
// streams per connection. It finds no peers by itself, except on its LAN. Other
// peers are reached by a full address ([Node.Connect]), or by an [ID] whose
// addresses are in the node's address book; package dht puts them there.
//
// # Relays and resumable streams
//
// A node that cannot be dialed keeps reservations at relays. Peers connect to it
// through a relay, and then both punch a hole in their NATs. They try at once, then
// at growing intervals of up to 10 minutes while the connection is relayed, and
// anew when the node gets another public address. A relay closes each connection
// after some bytes or minutes. So a stream over a relay is resumable: the two sides
// count what they received, and go on over the next connection.
// [Node.OpenResumable] opens such a stream to any peer.
//
// # Private networks
//
// With a [NetworkKey], each connection begins with a proof that both sides have the
// key. The proof runs on the connection's first stream, below libp2p's swarm, and is
// bound to both peer IDs. libp2p's own private networks work over TCP alone.
//
// # Strangers
//
// Strangers are the peers that are neither protected ([Node.Protect]) nor
// recognized ([Node.Recognize]). These limits hold for them and for all others:
//
//	streams that one peer has opened here       2,048, of one protocol 1,024
//	streams that all peers have opened here     16,384
//	time to name the protocol of a stream       10 s
//	connections                                 1,024, with one IP address 128
//	connections whose handshake has not ended   512
//	unread bytes of resumable streams           16 MiB for one peer, 128 MiB for all
//	bytes of incomplete messages                32 MiB for one peer, 128 MiB for all
//
// Strangers together have three quarters of what all peers have. Over TCP the node
// disconnects a peer whose streams use more than its share of the memory, which is
// 64 MiB, and more on a larger machine. [Node.Block] refuses a peer altogether.
//
// # What a node sends by itself
//
// A node sends multicast DNS on its LANs and asks its router for a port, unless the
// options say no. Every 5 seconds it probes its relays and the peers that it keeps
// connected. A node that listens on loopback only sends nothing that leaves the
// machine.
//
// # What we work around in go-libp2p
//
// Each row is something of go-libp2p v0.51 that this package replaces or wraps. Look
// at all of them when the version changes. Those of kad-dht are in package dht.
//
//	ours                  what libp2p does                              unnecessary when
//	----                  ----------------                              ----------------
//	punchHost             proposes a hole on a relayed connection       holepunch picks the inbound
//	                      that this side made, which the other side     connection, and drops the
//	                      refuses; keeps the addresses of a failed      addresses after a failure
//	                      attempt and dials them again
//	silentNetwork         punches once, when a relayed connection       holepunch takes a schedule
//	                      comes in, and then never
//	punchAddrs            waits while the host knows no public          holepunch uses an address
//	                      address; needs four observers for one         that one peer has observed
//	unreachableHost       keeps relays only while AutoNAT calls the     AutoRelay takes a function
//	                      whole node private                            that says when
//	lanHost               tells mDNS addresses that are up to a         the host updates its
//	                      minute old                                    addresses on a change
//	noteNewAddrs          advertises the same old addresses             the same
//	reach.advertised      advertises relays or direct addresses, not    AutoRelay adds relays to
//	                      both, to a node that only IPv6 reaches        public IPv6 addresses
//	rank                  waits half a second before it dials           the dial ranker's delays
//	                      through a relay, and tries one at a time      are options
//	dial                  does not dial addresses that become known     the swarm adds them to the
//	                      during a dial                                 dial that runs
//	disconnected          forgets the address of a relay when the       identify keeps addresses
//	                      peer does not advertise it                    that worked
//	probe                 notices a dead connection after 30 s (QUIC)   connections have a health
//	                      or minutes (TCP)                              check
//	reachPeer             reports a connection as made before the       the last flight of the
//	                      other side has accepted it                    handshake is awaited
//	portMapper            looks for a router once                       it looks again after a
//	                                                                    change of addresses
//	gateway               does not find a NAT-PMP gateway on Linux      go-nat finds it
//	keyed                 private networks encrypt TCP twice, and       PSK works over QUIC
//	                      refuse QUIC
//	resources, connScope, limits count by peer ID alone, which a        the resource manager is
//	streamScope,          stranger makes for nothing, and refuse the    fair by address and
//	memorySpan            one that comes next, not the greediest        evicts
//	gater                 closes no connection that was accepted and    the resource manager
//	                      is still under handshake                      passes the connection
//	relayClients          gives reservations to who comes first         the relay evicts
//	WholeMessages         protocols of libraries allocate a message     their readers allocate as
//	                      on the word of its length                     bytes arrive
//	listening.free        shares a TCP port with another program        a listener fails if the
//	                                                                    port is in use
//	config.Config         package libp2p links WebSocket, WebRTC and    the package is split
//	                      WebTransport
//
// All methods of a Node are safe for concurrent use.
package p2p

// Package content keeps programs and files by their content, and gets them from
// whichever peer has them.
//
// What is added is cut into blocks as IPFS cuts it, and named by the CID that
//
//	ipfs add --cid-version=1 --raw-leaves
//
// prints: UnixFS, chunks of 256 KiB in raw leaves, a balanced tree of at most
// 174 links per node, SHA-256. Blocks travel by bitswap, under its usual
// protocol names, so an IPFS node may serve them or fetch them. Each block is
// checked against its CID: it doesn't matter who sends it. Between peers that only
// a relay connects, blocks travel by a protocol of this package, [Protocol].
//
// A [Store] serves its blocks to every peer that asks for them by CID. A CID is
// therefore all that protects what is in the store.
package content

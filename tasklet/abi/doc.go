// Package abi is what a program and its host agree on: names, numbers and the
// encodings of requests and replies. It is compiled into both and imports
// nothing but the standard library.
//
// # Requests
//
// A program asks its host for something with the import
//
//	submit(id uint64, kind uint32, payload pointer, length uint32) (errno uint32)
//
// of the module [Module], which does not wait. The id is the program's own
// number for the request, not 0. The reply comes later, in a stream of records
//
//	id      uint64, little endian
//	length  uint32, little endian
//	payload length bytes
//
// that the program reads with
//
//	take(buffer pointer, length uint32) (n uint32)
//
// which gives it the next bytes of the stream, or none, and does not wait
// either. A request that waited would stop all the goroutines of the program.
// What it waits on is the descriptor [Descriptor], which is readable while there
// is something to take. It has no other use.
//
// # Busy programs
//
// The Go scheduler looks at descriptors only when nothing else is to do, so a
// program that computes would not see its replies. It therefore also calls take
// in a goroutine of its own, the ticker, every [TickInterval] while requests are
// without reply. Lest that wakes an idle program, there are three rules:
//
//   - each submit starts the ticker, unless it runs;
//   - take returns [Idle] if there is nothing to read and the program has waited
//     since the last take: the ticker stops;
//   - when a program's waiting ends, for whatever reason, while requests are
//     without reply and the ticker is stopped, the host puts an empty record
//     with the id [Tick] in the stream: its reader starts the ticker.
package abi

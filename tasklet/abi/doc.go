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
// number for the request, not 0. The reply comes later as a record
//
//	id      uint64, little endian
//	length  uint32, little endian
//	payload length bytes
//
// on the descriptor [Descriptor], a stream of such records from which one
// goroutine reads. A request that waited would stop all the goroutines of the
// program.
//
// # Busy programs
//
// The Go scheduler looks at descriptors only when nothing else is to do, so a
// program that computes would not see its replies. It may therefore also call
//
//	take(buffer pointer, length uint32) (n uint32)
//
// which gives it the next bytes of the same stream, or none, without waiting.
// A goroutine of the program, the ticker, does so every [TickInterval] while
// requests are without reply. Lest it wake an idle program, three rules:
//
//   - each submit starts the ticker, unless it runs;
//   - take returns [Idle] if there is nothing to read and the program has waited
//     since the last take: the ticker stops;
//   - when a program's waiting ends, for whatever reason, while requests are
//     without reply and the ticker is stopped, the host puts an empty record
//     with the id [Tick] in the stream: its reader starts the ticker.
package abi

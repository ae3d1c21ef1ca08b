// Package compiler makes machine code of programs, and keeps it as long as it is
// in use and somewhat longer.
//
// A program that another peer brings may have been made so that loading or
// compiling it takes hours or all memory, and neither can be stopped from within
// a process. So it is loaded and compiled by a process of its own, which has a
// limit on memory and one on time, and is killed at either. That process is this
// same executable, started again: see [RunChild]. What it makes is handed over in
// the folder of compiled code.
//
// # Limits
//
// Two programs are compiled at a time ([Slots]), one at a time of those that the
// same peer brings: a peer that brings slow programs keeps no other peer waiting
// for more than one of them. What one peer brings may have [OfOnePeer] bytes in
// memory while it is in use. What nobody uses any more stays for [IdleTime], in
// at most [IdleBytes] bytes. The folder of compiled code has at most [FolderBytes]
// bytes; what was not used for longest is removed first.
package compiler

// Package sandbox runs Go programs and stops them in the middle of what they
// do, in a form that another sandbox, on this machine or another one, carries
// on.
//
// It is mechanism alone. A guest sees a clock, randomness, its arguments, an
// output, and one way to ask for more ([Handler]); it has no files, no network
// and no environment. What a guest's requests mean, who may run what and how a
// stopped program travels is the business of others.
//
// # Safe points
//
// A guest can be stopped wherever it calls its host: when it looks at the
// clock, writes, waits or asks for something. The call has then not happened
// yet; it is made again when the guest goes on. A guest that computes is led
// to such a call: every few million turns of its loops it lets its host in,
// and a host that wants something makes the guest's scheduler run, which looks
// at the clock.
//
// There is one limit. A goroutine that is in a loop without any function call
// (inlined ones do not count) never runs the scheduler, so a program that has
// nothing else to do cannot be stopped until the loop is over: [Instance.Pause]
// then ends with its context. It can always be killed.
//
// The runtime's own initialization, some 100 µs before any code of the program
// runs, is not a safe point either; requests made then are honoured behind it.
//
// # Time
//
// A guest's monotonic clock never goes back, and the time that a stopped
// program spent on its way counts as time that passed: a timer that became due
// on the way fires at once. How long the way was is told by the wall clocks of
// both sides.
package sandbox

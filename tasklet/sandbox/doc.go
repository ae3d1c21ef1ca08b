// Package sandbox runs Go programs and stops them in the middle of what they
// do, in a form that another sandbox, on this machine or another one, carries
// on.
//
// It is mechanism alone. A guest sees a clock, randomness, its arguments, an
// output, and one way to ask for more ([Handler]); it has no files, no network
// and nothing in its environment but its memory limit ([Config]). What a guest's requests mean, who may run what and how a
// stopped program travels is the business of others.
//
// # Safe points
//
// A guest can be stopped wherever it calls its host: when it looks at the
// clock, writes, waits or asks for something. The call has then not happened
// yet; it is made again when the guest goes on. A guest that computes can be
// stopped where a loop begins again and where a function that may call itself
// is entered; it looks there every few tenths of a millisecond whether its host
// wants something.
//
// It cannot be stopped while its scheduler or its garbage collector works, nor
// in the runtime's initialization, some 100 µs before any code of the program
// runs. Requests made then are honoured behind it.
//
// # Scheduling
//
// A guest is one thread. Its goroutines take turns as usual, and one that
// computes is preempted after 10 ms if it calls functions that use the stack. A
// loop that calls none keeps the other goroutines of its program waiting until
// it is over, as in Go before 1.14. It does not keep the host waiting: such a
// guest can be paused, moved and killed.
//
// A guest that has waited for a second rests: it is no more than its memory, its
// registers and a timer, without a thread, a goroutine or a part in the machine
// that runs guests, and whatever does not need it to run does not wake it.
// Waking it takes some 20 µs longer than one that waits.
//
// # Time
//
// A guest's monotonic clock never goes back, and the time that a stopped
// program spent on its way counts as time that passed: a timer that became due
// on the way fires at once. Whoever carries the state says how long that was
// ([Instance.CatchUp]). For as long as one host keeps the state, that host's wall
// clock tells; if it is set forward meanwhile, the guest's clock goes forward,
// too, and if it is set back, the time is not counted.
//
// The guest's time of day is that of its host. It jumps when the guest goes to a
// host whose clock differs. Go programs measure time, and set their timers and
// deadlines, by the monotonic clock; a time that was read from text, or lost its
// monotonic part, has none.
package sandbox

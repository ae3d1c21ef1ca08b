package abi

// A Kind is what a program asks its host for. Numbers are never reused: new
// kinds are added at the end.
type Kind = uint32

// The kinds of request, what their payload is, and what the body of a reply
// that is not an error holds.
const (
	// KindOpen says that the program uses a channel. Payload: AppendString,
	// the channel's name. Reply: nothing.
	//
	// The program opens a name once, however many ends of it it has. A host
	// to which the program has moved is not told again: to it, a request
	// that names a channel opens it.
	KindOpen Kind = iota + 1
	// KindLeave says that the program no longer uses a channel. Payload:
	// AppendString, the channel's name. Reply: nothing.
	KindLeave
	// KindSend sends a value. Payload: AppendSend. Reply: nothing.
	KindSend
	// KindReceive receives a value. Payload: AppendString, the channel's
	// name. Reply: the value.
	KindReceive
	// KindCancel withdraws a request. Payload: AppendCancel. Reply: nothing,
	// at once. The request that is withdrawn has a reply of its own, which
	// says what became of it.
	KindCancel
	// KindMove moves the program to another peer. Payload: AppendString, the
	// peer. Reply: nothing, from the new host; or the error, from the old.
	KindMove
	// KindHost asks for the ID of the peer that the program is on. Payload:
	// none. Reply: the ID.
	KindHost
	// KindSelf asks for the ID of the tasklet that the program is. Payload:
	// none. Reply: the ID.
	KindSelf
	// KindClose closes a channel for everyone. Payload: AppendString, the
	// channel's name. Reply: nothing.
	KindClose
	// KindSendAsync sends a value behind those that were sent on the channel
	// before with this kind. Payload: AppendSend. Reply: nothing.
	KindSendAsync
	// KindSelect does one of several operations. Payload: AppendSelect.
	// Reply: AppendChosen.
	KindSelect
	// KindBalance asks how many wait on a channel. Payload: AppendString, the
	// channel's name. Reply: AppendBalance.
	KindBalance
	// KindClosed asks whether a channel is closed. Payload: AppendString, the
	// channel's name. Reply: one byte, 1 if it is, else 0.
	KindClosed
	// KindRef asks for a handle on the tasklet that the program is. Payload:
	// none. Reply: AppendRef.
	KindRef

	// The kinds that follow concern another tasklet. Payload: AppendHandle.
	// Reply: Answer. A program that moves meanwhile asks again where it goes
	// on.

	// KindInfo asks what a tasklet does.
	KindInfo
	// KindWait asks for the end of a tasklet, when it has come.
	KindWait
	// KindSteer moves a tasklet.
	KindSteer
	// KindKill ends a tasklet.
	KindKill
	// KindSuspend suspends a tasklet.
	KindSuspend
	// KindResume resumes a tasklet.
	KindResume
)

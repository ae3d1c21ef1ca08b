package tasklet

import "time"

// A move carries a running tasklet from its source to its destination, in these
// steps. Each arrow is one kind of message; wire.go says what is in it.
//
//	step      source                                  destination
//
//	offer     checks its claim, makes a checkpoint
//	          -- tagOffer -------------------------->  checks claim, proof and quota
//	          <------------------------ tagWelcome --  accepts; gets the program
//	prefetch  <-------------------------- tagReady --  can run the program
//	          -- tagPages, tagData ---------------->   takes memory in, round after round,
//	          the tasklet runs meanwhile               and brings it to disk
//	freeze    stops the tasklet at a safe point
//	          -- tagFrozen, tagData --------------->   takes in the continuation and the last pages
//	prepare   <----------------------- tagPrepared --  has all of it on disk, and does not run it
//	commit    writes down that it has given the
//	          tasklet up (from here on it is gone)
//	          -- tagCommit ------------------------>   writes down that the tasklet is its own, runs it
//	          <------------------------ tagRunning --
//	          forgets the outcome of the move
//
// A function has no memory to prefetch. Its continuation follows at once upon its
// offer.
//
// At most one of the two may run the tasklet, whatever breaks and whoever is killed:
//
//	state at the source     state at the destination   who may run it   what ends the state
//
//	none or aborted         none or partial            source           a new offer
//	undecided               partial                    source           freeze, or an error: aborted
//	undecided, paused       partial or prepared        nobody           commit, or an error: aborted, and the source goes on
//	undecided, killed       prepared                   source           its restart: what was not committed is aborted
//	committed               prepared                   destination      tagCommit; without it the destination asks the source
//	committed               running                    destination      tagRunning; without it the source asks the destination
//	forgotten               running                    destination      the next move
//
// The source decides, and it decides by writing the outcome down. An outcome that
// it does not know is aborted. So it keeps a committed outcome until the
// destination has confirmed it ([outcomeRetention] at most), and a prepared
// destination asks until it hears an outcome, or until an operator answers in
// place of a source that is gone for good ([Tasklet.Decide]). A source that was
// killed goes on from the tasklet's last checkpoint. Therefore a move begins with
// one; only when the disk is full is it the one before.
//
// The source is an [outgoingMove] (move_source.go, move_source_pages.go,
// move_commit.go, move_outcomes.go), the destination an [incomingMove]
// (move_dest.go, move_dest_pages.go, move_takeover.go, move_partial.go).

// A moveID names one attempt to move a tasklet.
type moveID [16]byte

// A moveDecision is what the source of a move decided.
type moveDecision uint8

const (
	aborted   moveDecision = iota // the source keeps the tasklet; also: nothing is known of the move
	undecided                     // the move is under way
	committed                     // the source has given the tasklet up
)

// Timeouts of a move.
const (
	// stepTimeout is how long a peer may take for one step.
	stepTimeout = 30 * time.Second
	// fetchTimeout is how long the destination may take to get the program.
	fetchTimeout = 5 * time.Minute
	// freezeTimeout is how long a busy program may take to a safe point.
	freezeTimeout = 10 * time.Second
	// refusalTimeout is how long a source reads on, when it cannot send, for the
	// reason that the destination gives.
	refusalTimeout = time.Second
	// confirmTimeout is how long the source asks whether a tasklet that it gave up
	// runs, when the link broke.
	confirmTimeout = 10 * time.Second
)

// What is tried again, and when. A pause doubles from the first number to the
// second.
const (
	// moveAttemptsMax is how often a move is begun when the link breaks. The
	// destination keeps what it got, so each attempt goes on where the one before
	// stopped. Before attempt n+1 the source waits n*n times attemptPause.
	moveAttemptsMax = 5
	attemptPause    = 50 * time.Millisecond

	// askSourcePause is the time until a prepared destination asks the source
	// again for its decision.
	askSourcePause, askSourcePauseMax = 20 * time.Millisecond, 5 * time.Second
	// askDestPause is the time until the source asks the destination again whether
	// the tasklet runs, within confirmTimeout.
	askDestPause, askDestPauseMax = 20 * time.Millisecond, time.Second
	// confirmInterval is the time until a destination that has still not confirmed
	// a move is asked again.
	confirmInterval, confirmIntervalMax = time.Minute, 6 * time.Hour
	// confirmPeersMax is how many destinations are asked at a time.
	confirmPeersMax = 4
)

// How long the peers remember a move, while they run.
const (
	// forwardRetention is how long a host tells where a tasklet went, and how a
	// tasklet ended here that nobody has asked for.
	forwardRetention = time.Hour
	// outcomeRetention is how long the source keeps the outcome of a move that the
	// destination does not confirm.
	outcomeRetention = 30 * 24 * time.Hour
	// partialRetention is how long the destination keeps what it got of a tasklet
	// before the transfer broke off.
	partialRetention = 10 * time.Minute
)

// How many moves a source remembers whose destinations have not confirmed them.
const (
	unconfirmedMax = 8 << 10
	// unconfirmedOfPeerMax is how many of them may be to one destination, or of
	// tasklets that one peer brought.
	unconfirmedOfPeerMax = 1 << 10
)

// How memory is sent. A page has 4 KiB, see [pageSize].
const (
	// precopyRoundsMax is how often memory is sent while the tasklet still runs.
	precopyRoundsMax = 20
	// stalledRoundsMax is how many rounds may bring hardly less than the one before.
	stalledRoundsMax = 3
	// precopyDoneBytes is how many bytes of new pages are few enough to stop at.
	precopyDoneBytes = 256 << 10
	// pageListPages is how many pages one list has when they follow at once.
	pageListPages = 1024
	// queuedListsMax is how many lists are made while another one is sent.
	queuedListsMax = 2
	// messagePages is how many pages travel in one message: 240 KiB.
	messagePages = 60
	// syncPagesCount is how many pages the destination brings to disk at a time
	// while more of them come, 16 MiB, and at the end of a round a quarter.
	syncPagesCount = 4096
	// spareLogRecords is how many records a log may have beside two for each page.
	spareLogRecords = 1024
)

// smallMessage bounds the messages that are not continuations, lists or pages, in
// bytes.
const smallMessage = 256 << 10

package model

import (
	"cmp"
	"slices"
	"strings"
	"testing"
)

// A checker that finds nothing proves nothing. Each defect is one thing that the
// protocol once lacked, or must never come to lack: it is found, and the way to
// it is told.
func TestDefectsAreFound(t *testing.T) {
	one := func(n peerID, kinds ...fault) plan {
		return plan{peers: 2, ops: []want{sends(1), receives(2)}, homes: []peerID{n}, faults: 1, kinds: kinds}
	}
	with := func(p plan, ops ...want) plan {
		p.ops = ops
		return p
	}
	pipelined := func(kinds ...fault) plan {
		return with(one(2, kinds...), sendsPipelined(1), sendsPipelined(1), receives(2), receives(2).then(3))
	}
	walled := func(kinds ...fault) plan {
		return plan{peers: 3, ops: []want{sends(1), receives(2)}, homes: []peerID{3}, walls: []pairing{{1, 2}}, faults: 1, kinds: kinds}
	}
	opposed := plan{
		peers: 2, finite: true, channels: 2, homes: []peerID{1, 1},
		ops: []want{sends(1).on(0, 1), receives(1).on(1, 1), receives(2).on(0, 2), sends(2).on(1, 2)},
	}
	both := with(one(1, breaks), sends(1), sends(2), receives(1), receives(2))
	again := opposed
	again.ops = append(opposed.ops[:4:4], sends(1).on(0, 0))
	again.faults, again.kinds = 1, []fault{cancels}
	for _, test := range []struct {
		name   string
		defect defect
		plan   plan
		flaws  []flaw // one of which is found
	}{
		{"no memory of accepts", noMemory, with(one(2, breaks), sends(1), receives(2), receives(2)), []flaw{receivedTwice}},
		{"late frames of a session that broke", noFence, with(one(2, lateEnd), sends(1), receives(2), receives(2)), []flaw{receivedTwice}},
		{"a session that broke at one end", noFence, with(one(2, breaks), sends(1), receives(2), receives(2)), []flaw{receivedTwice}},
		{"a receive that takes twice", takesTwice, with(one(2, reminds), sendsBig(1), sendsBig(1), receives(2)), []flaw{acceptedTwice}},
		{"an offer to two receives", offersTwice, with(one(2, doubles), sendsBig(1), receives(2), receives(2)), []flaw{offeredTwice}},
		{"a lost offer that is made to anyone", retriesInDoubt, with(one(2, breaks), sends(1), receives(2), receives(2)), []flaw{receivedTwice}},
		{"a home that forgets what it passed on", forgetsPassed, walled(breaks), []flaw{stuck}},
		{"a home that leaves with what it passed on", leaveMeansNo, walled(leaves), []flaw{receivedTwice, receivedAnyway, offeredTwice, notOffered}},
		{"a home that moves with what it passed on", forgetsOnMove, walled(drifts), []flaw{doubtWithout}},
		{"passing on by a session that is dead", passesOnAnywhere, walled(cuts), []flaw{passedBy}},
		{"a leaving taker that leaves doubt", doubtsOnLeave, walled(leaves), []flaw{doubtWithout}},
		{"a receive queued twice", releasesTwice,
			plan{peers: 3, ops: []want{sendsBig(1), receives(2)}, homes: []peerID{3}, faults: 2, kinds: []fault{reminds, cancels}}, []flaw{queuedTwice}},
		{"belief in any claim", worseClaims, with(plan{peers: 2, cold: true}, sends(1), receives(2)), []flaw{worseClaim}},
		{"a cancel that does not wait", cancelLies, one(2, cancels), []flaw{receivedAnyway, notOffered}},
		{"a peer matched with itself", matchesOneself, with(one(2, lateEnd), sends(1), sends(2), receives(1)), []flaw{stuck, passedBy}},
		{"a match of earlier", followsStale, both, []flaw{offeredTwice}},
		{"attempts of one term", countsTerms, both, []flaw{offeredTwice}},
		{"a home that takes itself for the one it was", trustsOldAnswers,
			plan{peers: 3, ops: []want{sends(1), receives(2)}, homes: []peerID{2}, faults: 2, kinds: []fault{drifts}}, []flaw{passedBy}},
		{"peers that take the home from each other", takesPlace, walled(drifts), []flaw{endlessElection}},
		{"homes that do not look for others", successorsOnly, one(2, cuts), []flaw{passedBy, manyHomes}},

		{"selects that refuse each other", bothRefuse, opposed, []flaw{goesOn}},
		{"selects that wait for each other", bothHold, opposed, []flaw{stuck, undecided}},
		{"a select that begins one alternative", oneBegun,
			plan{peers: 2, channels: 2, ops: []want{sends(1).on(0, 1), receives(1).on(1, 1), receives(2), sends(2).on(1, 0)}, homes: []peerID{1, 1}, faults: 1, kinds: []fault{cancels}}, []flaw{passedBy}},
		{"a refused receive that is not registered again", registersNoMore, again, []flaw{passedBy}},

		{"a pipeline that goes on when one is refused", overtakesRefused,
			plan{peers: 3, ops: []want{sendsPipelined(1), sendsPipelined(1), receives(2), receives(3), receives(3).then(4)}, homes: []peerID{3}, faults: 1, kinds: []fault{cancels}}, []flaw{outOfOrder}},
		{"a pipeline that is told to a new home", exposesAll, pipelined(drifts, breaks), []flaw{outOfOrder}},
		{"a pipeline resumed from its middle", resumesAll, pipelined(breaks), []flaw{outOfOrder}},
		{"a pipeline that nobody wakes", leavesUnmatched, pipelined(cancels), []flaw{passedBy}},
		{"a pipeline that a home takes from its past", takesOldPipeline,
			plan{peers: 3, ops: []want{sendsPipelined(1), sendsPipelined(1), receives(2), receives(2).then(3)}, homes: []peerID{2}, faults: 2, kinds: []fault{drifts}}, []flaw{outOfOrder}},
		{"a pipeline that skips one in the queue", skipsAhead, pipelined(breaks), []flaw{outOfOrder}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := test.plan
			if p.channels == 0 {
				p.channels = 1
			}
			p.defect = test.defect
			f := p.explore(limit)
			if limit > 0 && f.flaw == tooMuch {
				t.Skip("it takes too long to find with -race")
			}
			if !slices.Contains(test.flaws, f.flaw) {
				t.Fatalf("after %d states: %v\n%s", f.states, f.flaw, f.trace)
			}
			if !strings.Contains(f.trace, "=> "+f.flaw.String()) {
				t.Errorf("the trace is\n%s", f.trace)
			}
			t.Logf("found after %d states:\n%s", f.states, f.trace)
			p.defect = sound
			if f := p.explore(cmp.Or(limit, 100_000)); f.flaw != fine && f.flaw != tooMuch {
				t.Errorf("without the defect: %v\n%s", f.flaw, f.trace)
			}
		})
	}
}

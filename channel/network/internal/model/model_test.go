package model

import (
	"flag"
	"fmt"
	"testing"
)

var long = flag.Bool("long", false, "explore the larger worlds, too: some minutes, some gigabytes")

func sends(n peerID) want          { return want{peer: n} }
func sendsBig(n peerID) want       { return want{peer: n, big: true} }
func sendsPipelined(n peerID) want { return want{peer: n, ordered: true} }
func receives(n peerID) want       { return want{peer: n, receive: true} }

// then has an operation begin when another is over, as one tasklet does it.
func (x want) then(after opID) want {
	x.after = after
	return x
}

// on moves an operation to a channel, as an alternative of a select.
func (x want) on(c channel, n choiceID) want {
	x.ch, x.choice = c, n
	return x
}

// everything returns all that may befall two peers, or more.
func everything() []fault {
	return []fault{breaks, lateEnd, crashes, reboots, cuts, islands, cancels, leaves, drifts, doubles, reminds}
}

// The first sizes of the design: two peers and three operations, whoever is home,
// and one fault of any kind, at any moment.
func TestTwoPeers(t *testing.T) {
	for name, ops := range map[string][]want{
		"a send and a receive":        {sends(1), receives(2)},
		"a big send and a receive":    {sendsBig(1), receives(2)},
		"two sends and a receive":     {sends(1), sends(1).then(1), receives(2)},
		"big sends and a receive":     {sendsBig(1), sends(1), receives(2)},
		"a send and two receives":     {sends(1), receives(2), receives(2).then(2)},
		"receives of two at once":     {sendsBig(1), receives(2), receives(2)},
		"receives of two peers":       {sends(1), receives(1), receives(2)},
		"sends of two peers":          {sends(1), sends(2), receives(2)},
		"both send and both receive":  {sends(1), sends(2), receives(1), receives(2)},
		"two big sends, two receives": {sendsBig(1), sendsBig(2), receives(1), receives(2)},
	} {
		for home := peerID(1); home <= 2; home++ {
			t.Run(fmt.Sprintf("%s, home %d", name, home), func(t *testing.T) {
				(&plan{peers: 2, ops: ops, homes: []peerID{home}, faults: 1, kinds: everything()}).holds(t)
			})
		}
	}
	t.Run("two faults", func(t *testing.T) {
		(&plan{peers: 2, ops: []want{sends(1), receives(2)}, homes: []peerID{2}, faults: 2, kinds: everything()}).holds(t)
	})
}

// Sender, receiver and home are three. The kinds of faults that lead to many
// worlds, because all of a channel's peers vie for its home, are left to -long.
func TestThreePeers(t *testing.T) {
	few := []fault{breaks, lateEnd, crashes, cuts, cancels, leaves, drifts, doubles, reminds}
	for name, ops := range map[string][]want{
		"a send and a receive":     {sends(1), receives(2)},
		"a big send and a receive": {sendsBig(1), receives(2)},
	} {
		for home := peerID(1); home <= 3; home++ {
			t.Run(fmt.Sprintf("%s, home %d", name, home), func(t *testing.T) {
				(&plan{peers: 3, ops: ops, homes: []peerID{home}, faults: 1, kinds: few}).holds(t)
			})
		}
	}
	for name, p := range map[string]plan{
		"islands":               {ops: []want{sends(1), receives(2)}, homes: []peerID{3}, kinds: []fault{islands}},
		"reboots":               {ops: []want{sends(1), receives(2)}, homes: []peerID{3}, kinds: []fault{reboots}},
		"islands, home 2":       {ops: []want{sends(1), receives(2)}, homes: []peerID{2}, kinds: []fault{islands}},
		"reboots, home 2":       {ops: []want{sends(1), receives(2)}, homes: []peerID{2}, kinds: []fault{reboots}},
		"two big sends":         {ops: []want{sendsBig(1), sendsBig(1), receives(2)}, homes: []peerID{3}, kinds: few},
		"two receives":          {ops: []want{sends(1), receives(2), receives(3)}, homes: []peerID{3}, kinds: few},
		"two of each":           {ops: []want{sends(1), sends(2), receives(2), receives(3)}, homes: []peerID{3}, kinds: []fault{breaks, cancels}},
		"a pipeline, two moves": {ops: []want{sendsPipelined(1), sendsPipelined(1), receives(2), receives(2).then(3)}, homes: []peerID{2}, faults: 2, kinds: []fault{drifts}},
		"two breaks, a move":    {ops: []want{sends(1), receives(2)}, homes: []peerID{3}, faults: 2, kinds: []fault{breaks, drifts}},
	} {
		t.Run(name, func(t *testing.T) {
			if !*long {
				t.Skip("larger: -long")
			}
			p.peers, p.faults = 3, max(p.faults, 1)
			p.holds(t)
		})
	}
}

// Sender and receiver do not reach each other: what they say goes by way of the
// home, whatever happens to it.
func TestWalls(t *testing.T) {
	p := plan{peers: 3, homes: []peerID{3}, walls: []pairing{{1, 2}}, faults: 1, kinds: everything()}
	for name, ops := range map[string][]want{
		"a send":      {sends(1), receives(2)},
		"a big send":  {sendsBig(1), receives(2)},
		"two at once": {sendsBig(1), sends(1), receives(2), receives(2)},
	} {
		t.Run(name, func(t *testing.T) {
			p := p
			if p.ops = ops; len(ops) > 2 {
				p.kinds = []fault{breaks, crashes, cancels, leaves}
			}
			p.holds(t)
		})
	}
}

// Peers open a channel, and look for its home, at the same time.
func TestOpening(t *testing.T) {
	for name, p := range map[string]plan{
		"two":             {peers: 2, faults: 1, kinds: []fault{breaks, crashes, cancels, leaves}},
		"three, no fault": {peers: 3},
	} {
		t.Run(name, func(t *testing.T) {
			if p.peers > 2 && !*long {
				t.Skip("larger: -long")
			}
			p.cold, p.ops = true, []want{sends(1), receives(2)}
			p.holds(t)
		})
	}
}

// Selects that each send on one channel and receive on another commit exactly
// one alternative each, and none waits for another forever, wherever the homes
// of the channels are.
func TestSelects(t *testing.T) {
	opposed := []want{sends(1).on(0, 1), receives(1).on(1, 1), receives(2).on(0, 2), sends(2).on(1, 2)}
	swapped := []want{sends(1).on(0, 2), receives(1).on(1, 2), receives(2).on(0, 1), sends(2).on(1, 1)}
	ring := []want{
		sends(1).on(0, 1), receives(1).on(2, 1), sends(2).on(1, 2),
		receives(2).on(0, 2), sends(3).on(2, 3), receives(3).on(1, 3),
	}
	back := []want{ // the other way round, by the order of the choices
		sends(1).on(0, 3), receives(1).on(2, 3), sends(2).on(1, 2),
		receives(2).on(0, 2), sends(3).on(2, 1), receives(3).on(1, 1),
	}
	for name, p := range map[string]plan{
		"opposed":                        {peers: 2, ops: opposed, kinds: []fault{cancels, drifts}},
		"opposed, smaller choice at 2":   {peers: 2, ops: swapped, kinds: []fault{breaks}},
		"opposed, home elsewhere":        {peers: 3, ops: opposed, homes: []peerID{3, 3}, kinds: []fault{cancels}},
		"opposed, with a plain send":     {peers: 2, ops: append(opposed[:4:4], sends(2).on(1, 0))},
		"opposed, with a plain receive":  {peers: 2, ops: append(opposed[:4:4], receives(2).on(0, 0)), kinds: []fault{cancels}},
		"two sends, two plain receives":  {peers: 3, ops: []want{sends(1).on(0, 1), sends(1).on(1, 1), receives(2), receives(3).on(1, 0)}, kinds: []fault{cancels}},
		"two receives and a plain send":  {peers: 2, ops: []want{receives(1).on(0, 1), receives(1).on(1, 1), sends(2), sends(2).on(1, 0)}, kinds: []fault{cancels}},
		"ring":                           {peers: 3, ops: ring, homes: []peerID{1, 2, 3}},
		"ring, the other way":            {peers: 3, ops: back, homes: []peerID{1, 2, 3}},
		"ring, one home":                 {peers: 3, ops: ring, homes: []peerID{1, 1, 1}},
		"ring, the other way, one home":  {peers: 3, ops: back, homes: []peerID{1, 1, 1}},
		"ring, homes with the receivers": {peers: 3, ops: ring, homes: []peerID{2, 3, 1}},
	} {
		homes := [][]peerID{p.homes}
		if p.homes == nil {
			homes = [][]peerID{{1, 1}, {1, 2}, {2, 1}, {2, 2}}
		}
		if *long {
			p.kinds = []fault{breaks, crashes, cuts, cancels, drifts, doubles}
		}
		for _, h := range homes {
			t.Run(fmt.Sprint(name, h), func(t *testing.T) {
				p := p
				p.finite = !*long // a session that broke, and is not missed, may be tried again and again
				if p.channels, p.homes = len(h), h; len(p.kinds) > 0 {
					p.faults = 1
				}
				p.holds(t)
			})
		}
	}
}

// Many sends under way of one tasklet arrive in their order, at each receiver.
func TestLanes(t *testing.T) {
	some := []fault{breaks, cancels, drifts, leaves, crashes, doubles, reminds}
	for name, p := range map[string]plan{
		"two":                 {peers: 2, ops: []want{sendsPipelined(1), sendsPipelined(1), receives(2), receives(2).then(3)}, kinds: everything()},
		"three":               {peers: 2, ops: []want{sendsPipelined(1), sendsPipelined(1), sendsPipelined(1), receives(2), receives(2).then(4)}, kinds: some},
		"three, two at once":  {peers: 2, ops: []want{sendsPipelined(1), sendsPipelined(1), sendsPipelined(1), receives(2), receives(2), receives(2).then(4)}, kinds: []fault{cancels}},
		"two to two peers":    {peers: 3, ops: []want{sendsPipelined(1), sendsPipelined(1), receives(2), receives(3)}, kinds: []fault{breaks, cancels}},
		"two to one of three": {peers: 3, ops: []want{sendsPipelined(1), sendsPipelined(1), receives(2), receives(2).then(3)}, kinds: []fault{breaks, cancels, drifts}},
	} {
		for home := peerID(1); int(home) <= p.peers; home++ {
			t.Run(fmt.Sprintf("%s, home %d", name, home), func(t *testing.T) {
				p := p
				if p.faults, p.homes = 1, []peerID{home}; *long {
					p.kinds = everything()
				}
				p.holds(t)
			})
		}
	}
}

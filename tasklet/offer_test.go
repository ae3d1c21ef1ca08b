package tasklet_test

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/abi"
)

// A commit is the message that gives a tasklet up.
type commit struct {
	Hop   tasklet.Hop
	Claim tasklet.Claim
}

// A refusal is a failure of a kind.
type refusal struct {
	Kind uint8
	Text string
}

// A captive is all that the destination of a function tasklet gets.
type captive struct {
	offer offer
	cont  tasklet.Continuation
	commit
}

// capture has a node take functions in as a host does, and keep what it got.
func capture(t *testing.T, at *p2p.Node) <-chan captive {
	got := make(chan captive, 16)
	at.Handle(tasklet.Protocol, func(st p2p.Stream) {
		defer st.Close()
		st.SetDeadline(time.Now().Add(time.Minute))
		s := &stranger{t, st, bufio.NewReader(st)}
		var c captive
		for _, m := range []struct {
			tag byte
			v   any
			say []byte
		}{{offered, &c.offer, []byte{welcome, ready}}, {frozen, &c.cont, []byte{prepared}}, {commits, &c.commit, []byte{runs}}} {
			tag, body := s.hear()
			if tag != m.tag || codec.Unmarshal(body, m.v) != nil {
				return
			}
			for _, answer := range m.say {
				s.sayBytes(answer, nil)
			}
		}
		got <- c
		io.Copy(io.Discard, st)
	})
	return got
}

// node starts a peer that speaks by hand, and connects it.
func rawNode(t testing.TB, peers ...*peer) *p2p.Node {
	n := must[*p2p.Node](t)(p2p.Start(&p2p.Options{Listen: tcp}))
	t.Cleanup(func() { n.Close() })
	for _, p := range peers {
		must[p2p.ID](t)(n.Connect(t.Context(), p.node.Addrs()[0]))
	}
	return n
}

// bring offers a function, and returns the answer that decides: prepared, or a
// failure with its text. Nothing is committed.
func bring(t *testing.T, from *p2p.Node, to *peer, o offer, c tasklet.Continuation) (s *stranger, tag byte, text string) {
	t.Helper()
	s = knock(t, from, to)
	s.say(offered, o)
	s.say(frozen, c)
	for {
		tag, body := s.hear()
		switch tag {
		case welcome, ready:
			continue
		case failure:
			var f struct{ Text string }
			if err := codec.Unmarshal(body, &f); err != nil {
				t.Fatal(err)
			}
			return s, tag, f.Text
		}
		return s, tag, ""
	}
}

// A peer that accepts nobody's tasklets takes in the one that it started from the
// peer that has it, once, as it was, and nothing else under that tasklet's ID.
func TestComesHome(t *testing.T) {
	ctx := within(t, time.Minute)
	victim := startPeer(t, tcp, &tasklet.Options{Functions: functions})
	away, stranger := rawNode(t, victim), rawNode(t, victim)
	captives := capture(t, away)
	tl := must[*tasklet.Tasklet](t)(victim.Go(ctx, prints(0)))
	if err := tl.Move(ctx, away.ID().String()); err != nil {
		t.Fatal(err)
	}
	got := <-captives
	ref := must[tasklet.Ref](t)(tl.Ref())
	proofOf := func(n *p2p.Node) []byte { return tasklet.Proof(ref, n.ID(), victim.node.ID()) }
	o, c := got.offer, got.cont
	o.Move, o.Claim, o.Proof = [16]byte{9}, got.Claim, proofOf(away)
	c.Claim = got.Claim

	other, _ := tasklet.NewClaim(stranger)
	for name, attack := range map[string]struct {
		by    *p2p.Node
		forge func(o *offer, c *tasklet.Continuation)
		says  string
	}{
		"an ID alone":            {stranger, func(o *offer, _ *tasklet.Continuation) { o.Claim, o.Proof = tasklet.Claim{}, nil }, "key"},
		"a key, and no claim":    {stranger, func(o *offer, _ *tasklet.Continuation) { o.Claim, o.Proof = tasklet.Claim{}, proofOf(stranger) }, "old copy"},
		"a key, another's claim": {stranger, func(o *offer, _ *tasklet.Continuation) { o.Proof = proofOf(stranger) }, "names peer"},
		"another's proof":        {stranger, func(*offer, *tasklet.Continuation) {}, "key"},
		"a claim made up": {stranger, func(o *offer, _ *tasklet.Continuation) {
			o.Proof = proofOf(stranger)
			o.Claim.Links = append(o.Claim.Links, tasklet.Link{Seq: 2, To: stranger.ID().String(), Sign: make([]byte, 64)})
		}, "signature"},
		"its own claim": {stranger, func(o *offer, c *tasklet.Continuation) {
			_, o.Claim = tasklet.NewClaim(stranger)
			o.Origin, o.Proof = o.Claim.Origin, proofOf(stranger)
		}, "started it"},
		"no proof":         {away, func(o *offer, _ *tasklet.Continuation) { o.Proof = nil }, "key"},
		"a stale claim":    {away, func(o *offer, _ *tasklet.Continuation) { o.Claim = got.offer.Claim }, ""},
		"another origin":   {away, func(o *offer, _ *tasklet.Continuation) { o.Origin = away.ID().String() }, "started it"},
		"another function": {away, func(o *offer, _ *tasklet.Continuation) { o.Function, o.Shape = "count", goodFunction().Function.Shape }, "started it"},
		"another tasklet": {away, func(_ *offer, c *tasklet.Continuation) {
			c.ID, c.Claim = other, tasklet.Claim{Origin: c.Origin}
		}, "claim of another"},
		"another key":                {away, func(_ *offer, c *tasklet.Continuation) { c.Key[0]++ }, "key"},
		"another claim that follows": {away, func(_ *offer, c *tasklet.Continuation) { c.Claim = got.offer.Claim }, "not the tasklet that was offered"},
	} {
		o, c := o, c
		attack.forge(&o, &c)
		if _, tag, text := bring(t, attack.by, victim, o, c); tag != failure || !strings.Contains(text, attack.says) {
			t.Errorf("%s: message %d, %q; want %q", name, tag, text, attack.says)
		}
	}
	// It comes back in the end, and not with a claim that nobody checked.
	for n, claim := range []tasklet.Claim{
		{Origin: got.Claim.Origin, Nonce: got.Claim.Nonce, Links: make([]tasklet.Link, 257)},
		got.Claim,
		tasklet.PassClaim(away, tl.ID(), got.Claim, stranger.ID()),
		tasklet.PassClaim(away, tl.ID(), got.Claim, victim.node.ID()),
	} {
		s, tag, text := bring(t, away, victim, o, c)
		if tag != prepared {
			t.Fatalf("attempt %d: message %d, %q", n, tag, text)
		}
		s.say(commits, commit{got.Hop, claim})
		if n < 3 {
			s.refused("claim")
		} else if tag, _ := s.hear(); tag != runs {
			t.Errorf("message %d when it is home", tag)
		}
		eventually(ctx, t, "the end of the move", func() bool { return len(victim.Arriving()) == 0 })
		if victim.Here(tl.ID()) != (n == 3) {
			t.Errorf("attempt %d: it is here: %v", n, n != 3)
		}
	}
	if _, _, text := bring(t, away, victim, o, c); !strings.Contains(text, "already") && !strings.Contains(text, "old copy") {
		t.Errorf("a second one: %q", text)
	}
	if err := tl.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "its end", func() bool { return look(t, tl).State == tasklet.Exited })
	if _, tag, text := bring(t, away, victim, o, c); tag != failure || !strings.Contains(text, "exited") {
		t.Errorf("after its end: message %d, %q", tag, text)
	}
}

// Whoever brings tasklets pays for them, whatever peer is said to have started
// them.
func TestBringerPays(t *testing.T) {
	victim := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Functions: functions, Limits: tasklet.Limits{Tasklets: 1}})
	attacker, accomplice := rawNode(t, victim), rawNode(t, victim)
	ctx := within(t, time.Minute)
	for name, of := range map[string]func() tasklet.Continuation{
		"itself":        func() tasklet.Continuation { return begun(goodFunction(), attacker) },
		"an accomplice": func() tasklet.Continuation { return passed(begun(goodFunction(), accomplice), accomplice, attacker) },
		"made-up peers": func() tasklet.Continuation { return passed(begun(goodFunction(), rawNode(t)), accomplice, attacker) },
		"the victim": func() tasklet.Continuation {
			c := begun(goodFunction(), attacker)
			c.Origin = victim.id()
			return c
		},
	} {
		came, says := 0, ""
		var streams []*stranger
		for range 5 {
			c := of()
			s, tag, text := bring(t, attacker, victim, offerOf(c), c)
			if tag == prepared {
				came++
				streams = append(streams, s)
			} else {
				says = text
			}
		}
		if limit := map[bool]int{true: 1}[name == "itself" || name == "an accomplice"]; came != limit {
			t.Errorf("%d tasklets of %s came; want %d", came, name, limit)
		}
		t.Logf("%s: %s", name, says)
		for _, s := range streams {
			s.say(failure, refusal{abi.FailureRefused, "it stays"})
		}
		eventually(ctx, t, "room", func() bool { return len(victim.Arriving()) == 0 })
	}
	// Who started them pays, too, whoever brings them.
	var streams []*stranger
	for n := range 2 {
		by := rawNode(t, victim)
		c := passed(begun(goodFunction(), accomplice), accomplice, by)
		s, tag, text := bring(t, by, victim, offerOf(c), c)
		if want := []byte{prepared, failure}[n]; tag != want {
			t.Errorf("tasklet %d of one origin: message %d, %q", n, tag, text)
		}
		streams = append(streams, s)
	}
	streams[0].say(failure, refusal{abi.FailureRefused, "it stays"})
	eventually(ctx, t, "the end of the move", func() bool { return len(victim.Arriving()) == 0 })
	victim.Run(time.Hour)
	if n := victim.Accounts(); n != 0 {
		t.Errorf("%d accounts are left of peers that have nothing here", n)
	}
}

// passed makes a continuation one of a tasklet that went from one peer to another.
func passed(c tasklet.Continuation, from, to *p2p.Node) tasklet.Continuation {
	c.Claim = tasklet.PassClaim(from, c.ID, c.Claim, to.ID())
	return c
}

// A peer that is blocked does not bring its tasklets by way of another one that
// says that they are somebody else's.
func TestBlockedOrigin(t *testing.T) {
	ctx := within(t, time.Minute)
	victim := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Functions: functions})
	blocked, friend := rawNode(t), rawNode(t, victim)
	if err := victim.node.Block(blocked.ID()); err != nil {
		t.Fatal(err)
	}
	c := passed(begun(goodFunction(), blocked), blocked, friend)
	for _, origin := range []string{blocked.ID().String(), friend.ID().String(), victim.id()} {
		o := offerOf(c)
		o.Origin, c.Origin = origin, origin
		if _, tag, text := bring(t, friend, victim, o, c); tag != failure {
			t.Errorf("origin %s: message %d, %q", origin, tag, text)
		}
	}
	eventually(ctx, t, "the end", func() bool { return len(victim.Arriving()) == 0 })
}

// A former host of a tasklet cannot keep the place for it at another peer: whoever
// has it since is let in.
func TestFormerHostSquats(t *testing.T) {
	ctx := within(t, time.Minute)
	victim := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Functions: functions})
	former, host := rawNode(t, victim), rawNode(t, victim)
	old := begun(goodFunction(), former)
	squat, tag, text := bring(t, former, victim, offerOf(old), old)
	if tag != prepared {
		t.Fatalf("message %d, %q", tag, text)
	}
	c := passed(old, former, host)
	s, tag, text := bring(t, host, victim, offerOf(c), c)
	if tag != prepared {
		t.Fatalf("message %d, %q", tag, text)
	}
	squat.say(commits, commit{tasklet.Hop{}, tasklet.PassClaim(former, c.ID, old.Claim, victim.node.ID())})
	s.say(commits, commit{tasklet.Hop{}, tasklet.PassClaim(host, c.ID, c.Claim, victim.node.ID())})
	if tag, _ := s.hear(); tag != runs {
		t.Errorf("message %d; want it to run", tag)
	}
	eventually(ctx, t, "the end of the move", func() bool { return len(victim.Arriving()) == 0 })
	if _, tag, text := bring(t, former, victim, offerOf(old), old); tag != failure {
		t.Errorf("the former host again: message %d, %q", tag, text)
	}

}

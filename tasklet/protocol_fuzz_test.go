package tasklet_test

import (
	"bufio"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/abi"
)

// FuzzProtocol has three accepted peers say sequences of valid messages to a host:
// offers, continuations, commits, controls and watches of tasklets that they have
// started and passed on to each other, with true, old and forged claims, keys and
// proofs. A tasklet runs at the host only if the peer that had it gave it up to the
// host, and the host's own tasklet goes on.
func FuzzProtocol(f *testing.F) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzProtocol/*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	victim := startPeer(f, tcp, &tasklet.Options{AcceptAny: true, Functions: []tasklet.AnyFunction{stays}})
	own := must[*tasklet.Tasklet](f)(victim.Go(f.Context(), stays(0)))
	staying := goodFunction()
	staying.Function = &tasklet.FunctionState{Name: "stays", Shape: "int", State: marshal(f, new(int))}
	wasAborted, no := marshal(f, struct{ Outcome uint8 }{}), marshal(f, refusal{abi.FailureRefused, "no"})
	var actors [3]*p2p.Node
	for i := range actors {
		actors[i] = rawNode(f, victim)
		actors[i].Handle(tasklet.Protocol, func(s p2p.Stream) { refuseAll(s, wasAborted, no) })
	}
	f.Add([]byte{0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0}) // one comes and is killed
	f.Add([]byte{0, 0, 0, 4, 0, 1, 1, 0, 1, 2, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		p := &play{t: t, victim: victim, staying: staying, actors: actors[:], given: map[tasklet.ID]bool{}}
		for n := 0; len(script) >= 3 && n < 40; n++ {
			p.act(script[0], script[1], script[2])
			script = script[3:]
		}
		p.end(own.ID())
	})
}

// stays does nothing.
var stays = tasklet.Func("stays", func(ctx context.Context, _ *tasklet.Self, _ *int) error {
	<-ctx.Done()
	return ctx.Err()
})

// refuseAll refuses all that is offered to it, and says of each move that it was aborted.
func refuseAll(st p2p.Stream, aborted, no []byte) {
	defer st.Close()
	st.SetDeadline(time.Now().Add(10 * time.Second))
	answer := append([]byte{failure}, no...)
	if b, err := codec.ReadFrame(bufio.NewReader(st), 1<<20); err == nil && len(b) > 0 && b[0] == control {
		answer = append([]byte{reply}, aborted...)
	}
	codec.WriteFrame(st, answer)
}

// A troupe's tasklet, of which an actor has the claim.
type prop struct {
	cont   tasklet.Continuation
	claims []tasklet.Claim // as it was passed on; the last is the holder's
	holder int             // actor
	gone   bool            // given to the host
}

// An attempt is a stream on which a tasklet was offered.
type attempt struct {
	*stranger
	prop  *prop
	by    int
	claim int // number of the claim that was shown
	holds bool
}

type play struct {
	t        *testing.T
	victim   *peer
	staying  tasklet.Continuation
	actors   []*p2p.Node
	props    []*prop
	attempts []*attempt
	given    map[tasklet.ID]bool
}

// act does one thing.
func (p *play) act(what, which, how byte) {
	if what%8 == 0 || len(p.props) == 0 {
		by := int(which) % len(p.actors)
		c := begun(p.staying, p.actors[by])
		c.Key = tasklet.Key{1, which}
		p.props = append(p.props, &prop{cont: c, claims: []tasklet.Claim{c.Claim}, holder: by})
		return
	}
	it := p.props[int(which)%len(p.props)]
	by := int(how) % len(p.actors)
	switch what % 8 {
	case 1, 6:
		p.offer(it, by, how)
	case 2:
		p.commit(int(which), how)
	case 3:
		p.control(it, by, how)
	case 4: // it goes to another actor
		if !it.gone {
			last := it.claims[len(it.claims)-1]
			it.claims = append(it.claims, tasklet.PassClaim(p.actors[it.holder], it.cont.ID, last, p.actors[by].ID()))
			it.holder = by
		}
	case 5: // a stream breaks
		if len(p.attempts) > 0 {
			p.attempts[int(which)%len(p.attempts)].Reset()
		}
	case 7: // anything, in the middle of a move
		if len(p.attempts) > 0 {
			p.attempts[int(which)%len(p.attempts)].sayBytes(how%20, []byte{which})
		}
	}
}

func (p *play) knock(by int) *stranger {
	s := must[p2p.Stream](p.t)(p.actors[by].Open(p.t.Context(), p.victim.node.ID(), tasklet.Protocol))
	s.SetDeadline(time.Now().Add(10 * time.Second))
	return &stranger{p.t, s, bufio.NewReader(s)}
}

// offer shows a claim, the latest or an older one, and sends what follows.
func (p *play) offer(it *prop, by int, how byte) {
	n := len(it.claims) - 1
	if how&4 != 0 {
		n = int(how/8) % len(it.claims)
	}
	c := it.cont
	c.Claim = it.claims[n]
	o := offerOf(c)
	o.Move = [16]byte{1, byte(len(p.attempts))}
	switch {
	case how&64 == 0:
	case how&32 == 0:
		c.Claim = it.claims[0]
	default:
		o.Origin = p.actors[by].ID().String()
	}
	s := p.knock(by)
	s.say(offered, o)
	s.say(frozen, c)
	p.attempts = append(p.attempts, &attempt{s, it, by, n, by == it.holder && n == len(it.claims)-1})
	if how&128 == 0 { // wait for the answer
		for tag := byte(welcome); tag == welcome || tag == ready; {
			tag, _ = s.hear()
		}
	}
}

// commit says on a stream that a tasklet is given up, with a claim that may be none.
func (p *play) commit(which int, how byte) {
	if len(p.attempts) == 0 {
		return
	}
	a := p.attempts[which%len(p.attempts)]
	id, before := a.prop.cont.ID, a.prop.claims[a.claim]
	to := p.victim.node.ID()
	var claim tasklet.Claim
	switch how % 4 {
	case 0, 1:
		claim = tasklet.PassClaim(p.actors[a.by], id, before, to)
		if host, _, err := claim.Holder(id); err == nil && host == to {
			p.given[id] = true // a former host can say so, too, of what it had
			a.prop.gone = a.prop.gone || a.holds
		}
	case 2:
		claim = before
	case 3:
		claim = tasklet.Claim{Origin: before.Origin, Nonce: before.Nonce, Links: make([]tasklet.Link, int(how))}
	}
	a.say(commits, commit{Claim: claim})
	a.hear()
}

// control asks for something, with a proof of the right key or of another one.
func (p *play) control(it *prop, by int, how byte) {
	var q struct {
		ID                                 tasklet.ID
		Kill, Suspend, Resume, Claim, Info bool
		Greet                              bool
		Move                               string
		Outcome, Confirm                   [16]byte
		Renew                              *tasklet.Claim
		Proof                              []byte
	}
	q.ID = it.cont.ID
	switch how / 4 % 8 {
	case 0:
		q.Kill = true
	case 1:
		q.Suspend = true
	case 2:
		q.Claim = true
	case 3:
		q.Info = true
	case 4:
		q.Move = p.actors[by].ID().String()
	case 5:
		q.Confirm = [16]byte{1, how}
	case 6:
		q.Renew = &it.claims[len(it.claims)-1]
	case 7:
		q.Greet = true
	}
	key := it.cont.Key
	if how&64 != 0 {
		key[5]++
	}
	if how&128 == 0 {
		q.Proof = tasklet.Proof(tasklet.Ref{ID: it.cont.ID, Key: key}, p.actors[by].ID(), p.victim.node.ID())
	}
	s := p.knock(by)
	defer s.Reset()
	s.say(control, q)
	s.hear()
}

// end ends all streams, and wants nothing to run at the host that was not given to
// it.
func (p *play) end(own tasklet.ID) {
	for _, a := range p.attempts {
		a.Reset()
	}
	ctx := within(p.t, time.Minute)
	eventually(ctx, p.t, "the end of the moves", func() bool { return len(p.victim.Arriving()) == 0 })
	if !p.victim.Live(own) {
		p.t.Error("the host's own tasklet does not run")
	}
	for _, it := range p.props {
		if id := it.cont.ID; p.victim.Here(id) {
			if !p.given[id] {
				p.t.Errorf("tasklet %s runs, and was not given up", id)
			}
			s := p.knock(0)
			s.say(control, struct {
				ID    tasklet.ID
				Kill  bool
				Proof []byte
			}{id, true, tasklet.Proof(tasklet.Ref{ID: id, Key: it.cont.Key}, p.actors[0].ID(), p.victim.node.ID())})
			s.hear()
			s.Reset()
			if p.victim.Here(id) {
				p.t.Errorf("tasklet %s cannot be killed", id)
			}
		}
	}
	p.victim.Run(25 * time.Hour) // nothing of them is left
	if n := p.victim.Outcomes(); n > 0 {
		p.t.Errorf("%d outcomes are left", n)
	}
}

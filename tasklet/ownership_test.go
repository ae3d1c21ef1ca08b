package tasklet_test

import (
	"errors"
	"testing"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// A tasklet's ID is sent over a channel to a peer that neither started nor
// hosted it, and which finds it when its origin and all former hosts are gone.
func TestOpen(t *testing.T) {
	ctx := within(t, patience)
	peers := startPeers(t, 5, tcp)
	origin, former, host, seeker := peers[0], peers[1], peers[2], peers[3]
	tl := must[*tasklet.Tasklet](t)(origin.Spawn(ctx, build(t, "zoo"), "crash", "go"))
	ids := func(p *peer) *channel.Channel[tasklet.ID] {
		return must[*channel.Channel[tasklet.ID]](t)(channel.Open[tasklet.ID](ctx, p.space, "ids"))
	}
	out, in := ids(origin), ids(seeker)
	sent := make(chan error, 1)
	go func() { sent <- out.Send(ctx, tl.ID()) }()
	id := must[tasklet.ID](t)(in.Receive(ctx))
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	for _, to := range []*peer{former, host} {
		if err := tl.Move(ctx, to.id()); err != nil {
			t.Fatal(err)
		}
	}
	origin.close()
	former.close()
	var found *tasklet.Tasklet
	eventually(ctx, t, "the tasklet", func() bool {
		var err error
		found, err = seeker.Open(ctx, id)
		return err == nil
	})
	if where, err := found.Where(ctx); where != host.id() || err != nil {
		t.Errorf("it is at %s, %v", where, err)
	}
	for what, err := range map[string]error{"kill": found.Kill(ctx), "move": found.Move(ctx, seeker.id())} {
		if err == nil {
			t.Errorf("a peer that did not start it may %s it", what)
		}
	}
	tell(ctx, t, seeker, "go")
	crash := (*tasklet.CrashError)(nil)
	if status, err := found.Wait(ctx); status != 2 || !errors.As(err, &crash) {
		t.Errorf("%d, %v", status, err)
	}
	for _, id := range []tasklet.ID{good().ID, "no ID"} {
		if _, err := seeker.Open(ctx, id); !errors.Is(err, tasklet.ErrNotFound) {
			t.Errorf("open %s: %v", id, err)
		}
	}
}

// A claim that anybody else has made, changed, or taken from another tasklet is
// none.
func TestForgedClaims(t *testing.T) {
	var nodes []*p2p.Node
	for range 3 {
		n := must[*p2p.Node](t)(p2p.Start(&p2p.Options{Listen: tcp}))
		defer n.Close()
		nodes = append(nodes, n)
	}
	origin, host, stranger := nodes[0], nodes[1], nodes[2]
	id, start := tasklet.NewClaim(origin)
	one := tasklet.PassClaim(host, id, start, host.ID()) // host is not its holder
	if len(one.Links) != 0 {
		t.Error("who does not have a tasklet passed it on")
	}
	one = tasklet.PassClaim(origin, id, start, host.ID())
	two := tasklet.PassClaim(host, id, one, stranger.ID())
	home := tasklet.PassClaim(host, id, one, origin.ID())
	again := tasklet.PassClaim(origin, id, home, stranger.ID())
	for _, c := range []struct {
		claim tasklet.Claim
		host  p2p.ID
		seq   uint64
		links int
	}{{start, origin.ID(), 0, 0}, {one, host.ID(), 1, 1}, {two, stranger.ID(), 2, 2}, {home, origin.ID(), 2, 2}, {again, stranger.ID(), 3, 1}} {
		if who, seq, err := c.claim.Holder(id); who != c.host || seq != c.seq || err != nil || len(c.claim.Links) != c.links {
			t.Errorf("%s, %d, %v, %d links; want %+v", who, seq, err, len(c.claim.Links), c)
		}
	}
	other, _ := tasklet.NewClaim(origin)
	if _, _, err := one.Holder(other); err == nil {
		t.Error("a claim of another tasklet was taken")
	}
	for name, forge := range map[string]func(c *tasklet.Claim){
		"origin":    func(c *tasklet.Claim) { c.Origin = stranger.ID().String() },
		"nonce":     func(c *tasklet.Claim) { c.Nonce[0]++ },
		"to":        func(c *tasklet.Claim) { c.Links[1].To = host.ID().String() },
		"sequence":  func(c *tasklet.Claim) { c.Links[1].Seq = 100 },
		"signature": func(c *tasklet.Claim) { c.Links[1].Sign[5]++ },
		"cut":       func(c *tasklet.Claim) { c.Links = c.Links[1:] },
		"no peer":   func(c *tasklet.Claim) { c.Links[1].To = "" },
		"long":      func(c *tasklet.Claim) { c.Links = make([]tasklet.Link, 1000) },
	} {
		c := two
		c.Links = nil
		for _, l := range two.Links {
			l.Sign = append([]byte(nil), l.Sign...)
			c.Links = append(c.Links, l)
		}
		forge(&c)
		if _, _, err := c.Holder(id); err == nil {
			t.Errorf("%s: a forged claim was taken", name)
		}
	}
}

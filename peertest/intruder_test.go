package peertest_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/peertest/crafted"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/content"
)

// An intruder is a hostile peer whose tasklets the victim accepts. It speaks the
// protocol of tasklets by hand, and serves the programs that it offers.
type intruder struct {
	node       *p2p.Node
	accomplice *p2p.Node
	table      *dht.DHT
	store      *content.Store
	victim     p2p.ID
}

func startIntruder(t *testing.T) *intruder {
	t.Helper()
	i := &intruder{node: startNode(t), accomplice: startNode(t)}
	var err error
	if i.table, err = dht.Start(i.node, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.table.Close() })
	if i.store, err = content.Start(i.node, i.table, &content.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.store.Close() })
	return i
}

func startNode(t *testing.T) *p2p.Node {
	t.Helper()
	n, err := p2p.Start(&p2p.Options{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// Tags of messages, as they travel.
const (
	tagFailure  = 1
	tagOffer    = 2
	tagReady    = 6
	tagPages    = 7
	tagControl  = 4
	tagFrozen   = 8
	tagNeed     = 9
	tagData     = 10
	tagPrepared = 11
	tagCommit   = 12
	tagRunning  = 13
	tagReply    = 16
	tagRaw      = 17
)

// An offer is tasklet's message of that name.
type offer struct {
	ID      tasklet.ID
	Move    [16]byte
	Program string
	Origin  string
	Memory  uint64
	Claim   tasklet.Claim
}

// A bringing is one attempt to bring a tasklet to the victim.
type bringing struct {
	p2p.Stream
	r     *bufio.Reader
	offer offer
}

// A refused is what the victim says when it refuses something.
type refused string

func (r refused) Error() string { return string(r) }

// claim makes the claim of a new tasklet that a peer started.
func claim(origin string) (tasklet.ID, tasklet.Claim) {
	c := tasklet.Claim{Origin: origin}
	rand.Read(c.Nonce[:])
	h := sha256.New()
	h.Write([]byte("/dstackless/tasklet/id/1\x00"))
	h.Write(c.Nonce[:])
	h.Write([]byte(origin))
	return tasklet.ID(hex.EncodeToString(h.Sum(nil)[:16])), c
}

// pass has a peer sign that it gives a tasklet to another one.
func pass(by *p2p.Node, id tasklet.ID, c tasklet.Claim, to string) (tasklet.Claim, error) {
	l := tasklet.Link{Seq: uint64(len(c.Links) + 1), To: to}
	text := append(binary.BigEndian.AppendUint64([]byte("/dstackless/tasklet/link/1\x00"+string(id)), l.Seq), to...)
	var err error
	if l.Sign, err = by.Sign(text); err != nil {
		return c, err
	}
	c.Links = append(c.Links[:len(c.Links):len(c.Links)], l)
	return c, nil
}

// offer offers a tasklet of a module, and waits until the victim has the program.
// Forge changes the offer, if it is not nil.
func (i *intruder) offer(ctx context.Context, wasm []byte, memory uint64, forge func(*offer) error) (*bringing, error) {
	program, err := i.store.Add(ctx, wasm)
	if err != nil {
		return nil, err
	}
	self := i.node.ID().String()
	b := &bringing{offer: offer{Program: program.String(), Origin: self, Memory: memory}}
	rand.Read(b.offer.Move[:])
	b.offer.ID, b.offer.Claim = claim(self)
	if forge != nil {
		if err := forge(&b.offer); err != nil {
			return nil, err
		}
	}
	if b.Stream, err = i.node.Open(ctx, i.victim, tasklet.Protocol); err != nil {
		return nil, err
	}
	if end, ok := ctx.Deadline(); ok {
		b.SetDeadline(end)
	}
	b.r = bufio.NewReader(b.Stream)
	if err = b.say(tagOffer, b.offer); err == nil {
		_, _, err = b.hear(tagReady)
	}
	if err != nil {
		b.Reset()
		return nil, err
	}
	return b, nil
}

func (b *bringing) say(tag byte, v any) error {
	body, err := codec.Marshal(v, 1<<28)
	if err != nil {
		return err
	}
	return b.sayBytes(tag, body)
}

func (b *bringing) sayBytes(tag byte, body []byte) error {
	return codec.WriteFrame(b, append([]byte{tag}, body...))
}

// hear returns the next message that has one of the tags.
func (b *bringing) hear(tags ...byte) (tag byte, body []byte, err error) {
	for {
		frame, err := codec.ReadFrame(b.r, 1<<20)
		switch {
		case err != nil:
			return 0, nil, err
		case len(frame) == 0:
			continue
		case frame[0] == tagFailure:
			var f struct{ Text string }
			if err := codec.Unmarshal(frame[1:], &f); err != nil {
				return 0, nil, err
			}
			return 0, nil, refused(f.Text)
		}
		if slices.Contains(tags, frame[0]) {
			return frame[0], frame[1:], nil
		}
	}
}

// craftedMemory is how many bytes of memory modules of package crafted have at
// their start.
const craftedMemory = 128 << 10

// start has a tasklet of a crafted module run at the victim: it is brought as if it
// had been left when it was about to call its first function.
func (i *intruder) start(ctx context.Context, wasm []byte, memory uint64, forge func(*offer) error, fill func(*tasklet.Continuation)) error {
	b, err := i.offer(ctx, wasm, memory, forge)
	if err != nil {
		return err
	}
	defer b.Close()
	const stack, first = 8192, 0x10020000
	page := make([]byte, 4096)
	binary.LittleEndian.PutUint64(page[4096-8:], first)
	hash := sha256.Sum256(page)
	c := tasklet.Continuation{
		Version: tasklet.Version, ID: b.offer.ID, Program: b.offer.Program, Origin: b.offer.Origin, Claim: b.offer.Claim,
		Started: time.Unix(1, 0).UTC(),
		Memory:  tasklet.PageList{Size: memory, Index: []uint32{1}, Hashes: hash[:]},
	}
	c.State.G0, c.State.Globals[0], c.State.Pages = 1, stack, uint32(memory>>16)
	if fill != nil {
		fill(&c)
	}
	if err := b.say(tagFrozen, &c); err != nil {
		return err
	}
	tag, need, err := b.hear(tagNeed, tagPrepared)
	if err == nil && tag == tagNeed {
		if len(need) > 0 && need[0]&1 != 0 {
			b.sayBytes(tagRaw, page)
		}
		_, _, err = b.hear(tagPrepared)
	}
	if err != nil {
		return err
	}
	next, err := pass(i.node, b.offer.ID, b.offer.Claim, i.victim.String())
	if err != nil {
		return err
	}
	commit := struct {
		Hop   tasklet.Hop
		Claim tasklet.Claim
	}{tasklet.Hop{From: i.node.ID().String(), To: i.victim.String()}, next}
	if err := b.say(tagCommit, commit); err != nil {
		return err
	}
	if _, _, err := b.hear(tagRunning); err != nil {
		return err
	}
	rest(ctx, runTime)
	i.kill(ctx, b.offer.ID)
	return nil
}

// runTime is how long a tasklet runs before the intruder kills it to have room for
// another one.
const runTime = time.Second

// kill kills a tasklet that the intruder started.
func (i *intruder) kill(ctx context.Context, id tasklet.ID) {
	s, err := i.node.Open(ctx, i.victim, tasklet.Protocol)
	if err != nil {
		return // it ends when its processor time is over
	}
	b := &bringing{Stream: s, r: bufio.NewReader(s)}
	defer b.Reset()
	b.SetDeadline(time.Now().Add(5 * time.Second))
	b.say(tagControl, struct {
		ID   tasklet.ID
		Kill bool
	}{id, true})
	b.hear(tagReply)
}

// fresh makes a module another one, of which nobody has heard.
func fresh(m *crafted.Module) []byte {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	m.Customs["nonce"] = nonce
	m.Sections[11] = crafted.Vec(append([]byte("\x00\x41\x80\x80\x01\x0b"), crafted.Str(fmt.Sprintf("%x", nonce))...))
	return m.Bytes()
}

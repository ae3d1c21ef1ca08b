package tasklet_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// Tags of messages, as they travel.
const (
	failure  = 1
	offered  = 2
	control  = 4
	welcome  = 5
	ready    = 6
	pages    = 7
	frozen   = 8
	commits  = 12
	runs     = 13
	need     = 9
	data     = 10
	prepared = 11
	reply    = 16
	raw      = 17
	reads    = 18
)

// A stranger speaks the protocol of tasklets by hand.
type stranger struct {
	t *testing.T
	p2p.Stream
	r *bufio.Reader
}

func knock(t *testing.T, from *p2p.Node, at *peer) *stranger {
	t.Helper()
	s := must[p2p.Stream](t)(from.Open(t.Context(), at.node.ID(), tasklet.Protocol))
	s.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { s.Reset() })
	return &stranger{t, s, bufio.NewReader(s)}
}

func (s *stranger) say(tag byte, v any) {
	s.t.Helper()
	s.sayBytes(tag, marshal(s.t, v))
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	return must[[]byte](t)(codec.Marshal(v, 1<<26))
}

func (s *stranger) sayBytes(tag byte, body []byte) {
	codec.WriteFrame(s, append([]byte{tag}, body...))
}

// hear returns the next message, or 0 at the end of the stream.
func (s *stranger) hear() (tag byte, body []byte) {
	b, err := codec.ReadFrame(s.r, 1<<20)
	if timedOut(err) {
		s.t.Error("the other side says nothing")
	}
	if err != nil || len(b) == 0 {
		return 0, nil
	}
	return b[0], b[1:]
}

func timedOut(err error) bool {
	timeout := net.Error(nil)
	return errors.As(err, &timeout) && timeout.Timeout()
}

// refused wants the next message to be a failure, or the stream to be over.
func (s *stranger) refused(says string) {
	s.t.Helper()
	tag, body := s.hear()
	var f struct{ Text string }
	if tag == failure {
		if err := codec.Unmarshal(body, &f); err != nil {
			s.t.Error(err)
		}
	}
	if tag > failure || !strings.Contains(f.Text, says) {
		s.t.Errorf("message %d: %q; want %q", tag, f.Text, says)
	}
}

type offer struct {
	ID      tasklet.ID
	Move    [16]byte
	Program string
	Origin  string
	Memory  uint64
	Args    []string

	Function, Shape string

	Claim tasklet.Claim
	Proof []byte
}

// begun makes a continuation one of a tasklet that a peer started just now.
func begun(c tasklet.Continuation, by *p2p.Node) tasklet.Continuation {
	c.ID, c.Claim = tasklet.NewClaim(by)
	c.Origin = c.Claim.Origin
	return c
}

// offerOf is the offer of a continuation.
func offerOf(c tasklet.Continuation) offer {
	o := offer{ID: c.ID, Move: [16]byte{1}, Program: c.Program, Origin: c.Origin, Memory: c.Memory.Size, Claim: c.Claim}
	if f := c.Function; f != nil {
		o.Function, o.Shape, o.Memory = f.Name, f.Shape, uint64(len(f.State))
	}
	return o
}

// Whatever a stranger says, the host and its tasklets go on.
func TestHostileSource(t *testing.T) {
	ctx := within(t, patience)
	victim := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Limits: tasklet.Limits{Memory: 16 << 20}})
	tl := spawn(ctx, t, victim, "zoo", "forever")
	program := look(t, tl).Program
	from := must[*p2p.Node](t)(p2p.Start(&p2p.Options{Listen: tcp}))
	defer from.Close()
	must[p2p.ID](t)(from.Connect(ctx, victim.node.Addrs()[0]))
	theirs := begun(good(), from)
	theirs.Program = program
	fresh := func() offer {
		o := offerOf(theirs)
		o.Memory = 1 << 20
		return o
	}
	another := func() offer { // of a tasklet of which nothing has come
		c := begun(theirs, from)
		o := offerOf(c)
		o.Memory = 1 << 20
		return o
	}
	// arrive offers a tasklet and gets as far as its pages.
	arrive := func(t *testing.T) *stranger {
		s := knock(t, from, victim)
		s.say(offered, fresh())
		for _, want := range []byte{welcome, ready} {
			if tag, _ := s.hear(); tag != want {
				t.Fatalf("message %d, want %d", tag, want)
			}
		}
		return s
	}
	cont := func() tasklet.Continuation { return theirs }

	for name, attack := range map[string]func(t *testing.T){
		"frame of 2^60 bytes": func(t *testing.T) {
			s := knock(t, from, victim)
			s.Write(binary.AppendUvarint(nil, 1<<60))
			s.refused("")
		},
		"half a frame": func(t *testing.T) {
			s := knock(t, from, victim)
			s.Write([]byte{100, offered, 1, 2, 3})
			s.CloseWrite()
			s.refused("")
		},
		"no such message": func(t *testing.T) {
			s := knock(t, from, victim)
			s.sayBytes(200, nil)
			s.refused("begins nothing")
		},
		"an offer that is noise": func(t *testing.T) {
			s := knock(t, from, victim)
			s.sayBytes(offered, []byte("\xff\xff\xff\xff noise"))
			s.refused("")
		},
		"an ID that is a path": func(t *testing.T) {
			s := knock(t, from, victim)
			o := fresh()
			o.ID = "../../../../etc"
			s.say(offered, o)
			s.refused("hexadecimal")
		},
		"the ID of a tasklet that is here": func(t *testing.T) {
			s := knock(t, from, victim)
			o := fresh()
			o.ID = tl.ID()
			s.say(offered, o)
			s.refused("started it")
		},
		"a program that is no CID": func(t *testing.T) {
			s := knock(t, from, victim)
			o := fresh()
			o.Program = "program"
			s.say(offered, o)
			s.hear()
			s.refused("program")
		},
		"a continuation that is noise": func(t *testing.T) {
			s := arrive(t)
			s.sayBytes(frozen, []byte("\x07\xff\xff\xff noise"))
			s.refused("continuation")
		},
		"a continuation of another tasklet": func(t *testing.T) {
			s := arrive(t)
			c := cont()
			c = begun(c, from)
			s.say(frozen, &c)
			s.refused("not the tasklet")
		},
		"a memory over the limit": func(t *testing.T) {
			s := arrive(t)
			c := cont()
			c.Memory.Size, c.State.Pages = 32<<20, 32<<4
			s.say(frozen, &c)
			s.refused("limit")
		},
		"a memory smaller than the program's": func(t *testing.T) {
			s := arrive(t)
			c := cont()
			c.Memory.Index, c.Memory.Hashes = nil, nil
			s.say(frozen, &c)
			s.refused("the program starts with")
		},
		"registers of no program": func(t *testing.T) {
			s := arrive(t)
			c := cont()
			c.Memory = tasklet.PageList{Size: 8 << 20}
			c.State.Pages, c.State.G0 = 8<<4, 0
			s.say(frozen, &c)
			s.refused("state")
		},
		"pages that are none": func(t *testing.T) {
			for _, c := range []struct {
				tag  byte
				body []byte
				says string
			}{
				{data, []byte("noise"), "page data"},
				{raw, make([]byte, 4095), "page data"},
				{prepared, nil, "where pages belong"},
			} {
				s, o, whole := knock(t, from, victim), another(), cont()
				s.say(offered, o)
				s.hear()
				s.hear()
				whole.Memory.Size = 8 << 20
				s.say(pages, &whole.Memory)
				if tag, body := s.hear(); tag != need || len(body) != 1 || body[0] != 1 {
					t.Fatalf("message %d %v", tag, body)
				}
				s.sayBytes(c.tag, c.body)
				s.refused(c.says)
				s.Reset()
			}
		},
		"pages that are not what their hashes say": func(t *testing.T) {
			said, sent := bytes.Repeat([]byte{2}, 4096), bytes.Repeat([]byte{3}, 4096)
			list := func(page []byte) *tasklet.PageList {
				hash := sha256.Sum256(page)
				return &tasklet.PageList{Size: 8 << 20, Index: []uint32{100}, Hashes: hash[:]}
			}
			for n, c := range []struct {
				list *tasklet.PageList
				need byte
			}{{list(said), 1}, {list(said), 1}, {list(sent), 0}} {
				s, o := knock(t, from, victim), another()
				s.say(offered, o)
				s.hear()
				s.hear()
				s.say(pages, c.list)
				if tag, body := s.hear(); tag != need || len(body) != 1 || body[0] != c.need {
					t.Fatalf("answer %d: message %d %v", n, tag, body)
				}
				if c.need == 1 {
					s.sayBytes(raw, sent)
				}
				s.sayBytes(200, nil)
				s.refused("message 200")
			}
		},
		"pages without the hashes that were asked for": func(t *testing.T) {
			o, c := another(), cont()
			c.Memory.Size, c.Memory.Hashes = 8<<20, nil
			for _, asks := range []int{0, 1} { // when a page is here, it asks
				s := knock(t, from, victim)
				s.say(offered, o)
				s.hear()
				if tag, body := s.hear(); tag != ready || len(body) != asks {
					t.Fatalf("message %d %v", tag, body)
				}
				s.say(pages, &c.Memory)
				if asks == 1 {
					s.refused("asked for")
					return
				}
				s.sayBytes(raw, bytes.Repeat([]byte{1}, 4096))
				s.sayBytes(200, nil)
				s.refused("message 200")
			}
		},
		"a page list that never ends": func(t *testing.T) {
			s := arrive(t)
			s.Write(binary.AppendUvarint(nil, 1<<40))
			s.refused("too large")
		},
		"control of a tasklet that is another's": func(t *testing.T) {
			s := knock(t, from, victim)
			s.say(control, struct {
				ID   tasklet.ID
				Kill bool
			}{tl.ID(), true})
			s.refused("only the peer that started")
		},
		"a link that breaks": func(t *testing.T) { arrive(t).Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			attack(t)
			if !victim.Here(tl.ID()) {
				t.Fatal("the victim's tasklet is gone")
			}
			for len(victim.Arriving()) > 0 {
				if ctx.Err() != nil {
					t.Fatal("the offer stays")
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	// The same offer, still with nothing behind it, is still welcome.
	arrive(t)
	if err := tl.Kill(ctx); err != nil {
		t.Error(err)
	}
}

// Of a page that came in part, whether it was here before or not, nothing is
// believed.
func TestTornPage(t *testing.T) {
	ctx := within(t, patience)
	victim := startPeer(t, tcp, &tasklet.Options{AcceptAny: true})
	tl := spawn(ctx, t, victim, "zoo", "forever")
	from := must[*p2p.Node](t)(p2p.Start(&p2p.Options{Listen: tcp}))
	defer from.Close()
	must[p2p.ID](t)(from.Connect(ctx, victim.node.Addrs()[0]))
	const size = 32 << 20 // too much for the cache
	was, is := bytes.Repeat([]byte{2}, 4096), bytes.Repeat([]byte{3}, 4096)
	hash := sha256.Sum256(was)
	o := offerOf(begun(good(), from))
	o.Program, o.Memory = look(t, tl).Program, size
	for attempt, wants := range []byte{1, 0, 1} {
		s := knock(t, from, victim)
		o.Move = [16]byte{byte(attempt)}
		s.say(offered, o)
		s.hear()
		if tag, _ := s.hear(); tag != ready {
			t.Fatalf("attempt %d: message %d", attempt, tag)
		}
		s.say(pages, &tasklet.PageList{Size: size, Index: []uint32{5000}, Hashes: hash[:]})
		if tag, body := s.hear(); tag != need || len(body) != 1 || body[0] != wants {
			t.Fatalf("attempt %d: message %d %v", attempt, tag, body)
		}
		if wants == 1 {
			s.sayBytes(raw, was)
		}
		if attempt == 1 {
			s.say(pages, &tasklet.PageList{Size: size, Index: []uint32{5000}})
			frame := codec.AppendFrame(nil, append([]byte{raw}, is...))
			s.Write(frame[:len(frame)/2])
		}
		s.CloseWrite()
		s.refused("")
		for len(victim.Arriving()) > 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}
	if err := tl.Kill(ctx); err != nil {
		t.Error(err)
	}
}

// A destination that says it has what it has not, or says nothing, does not
// keep the tasklet from going on at its source.
func TestHostileDestination(t *testing.T) {
	ctx := within(t, patience)
	source := startPeer(t, tcp, nil)
	tl := spawn(ctx, t, source, "zoo", "hoard", "1")
	for name, attack := range map[string]func(s *stranger){
		"silence after the offer": func(s *stranger) { s.Reset() },
		"ready before welcome":    func(s *stranger) { s.sayBytes(ready, nil) },
		"a need of pages that are not there": func(s *stranger) {
			s.sayBytes(welcome, nil)
			s.sayBytes(ready, []byte{1})
			s.hear()
			s.sayBytes(need, make([]byte, 100_000))
		},
		"prepared without the pages": func(s *stranger) {
			s.sayBytes(welcome, nil)
			s.sayBytes(ready, []byte{1})
			s.sayBytes(prepared, nil)
		},
		"a failure in the midst of the pages": func(s *stranger) {
			s.sayBytes(welcome, nil)
			s.sayBytes(ready, nil)
			s.hear()
			s.say(failure, struct{ Text string }{"no, thank you"})
			s.CloseWrite()
			s.CloseRead()
		},
		"a failure in the end": func(s *stranger) {
			s.sayBytes(welcome, nil)
			s.sayBytes(ready, nil)
			for {
				switch tag, body := s.hear(); tag {
				case pages, frozen:
					_ = body
					s.say(failure, struct{ Text string }{"no, thank you"})
					return
				case 0:
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dest := must[*p2p.Node](t)(p2p.Start(&p2p.Options{Listen: tcp}))
			defer dest.Close()
			dest.Handle(tasklet.Protocol, func(st p2p.Stream) {
				st.SetDeadline(time.Now().Add(patience))
				s := &stranger{t, st, bufio.NewReader(st)}
				s.hear()
				attack(s)
				io.Copy(io.Discard, s.r)
				s.Close()
			})
			must[p2p.ID](t)(source.node.Connect(ctx, dest.Addrs()[0]))
			err := tl.Move(ctx, dest.ID().String())
			if err == nil || errors.Is(err, tasklet.ErrUnconfirmed) {
				t.Errorf("move: %v", err)
			}
			if strings.HasPrefix(name, "a failure") && !strings.Contains(fmt.Sprint(err), "no, thank you") {
				t.Errorf("move: %v; want what the destination says", err)
			}
			t.Log(err)
			if !source.Here(tl.ID()) || look(t, tl).State != tasklet.Running {
				t.Errorf("the tasklet is %+v", look(t, tl))
			}
		})
	}
}

// An offer that lies about its memory comes to a peer that cannot even start
// the program.
func TestOfferLies(t *testing.T) {
	ctx := within(t, patience)
	source := startPeer(t, tcp, nil)
	victim := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Limits: tasklet.Limits{Memory: 1 << 20}})
	must[p2p.ID](t)(source.node.Connect(ctx, victim.node.Addrs()[0]))
	tl := spawn(ctx, t, source, "zoo", "forever")
	s := knock(t, source.node, victim)
	o := offerOf(begun(good(), source.node))
	o.Program, o.Memory = look(t, tl).Program, 1
	s.say(offered, o)
	if tag, _ := s.hear(); tag != welcome {
		t.Fatalf("message %d", tag)
	}
	s.refused("memory")
	if err := tl.Move(ctx, victim.id()); !errors.Is(err, tasklet.ErrRefused) {
		t.Errorf("an honest move: %v", err)
	}
}

package tasklet

import (
	"bufio"
	"context"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
)

// Protocol is the libp2p protocol between hosts of tasklets.
const Protocol p2p.Protocol = "/dstackless/tasklet/4.0.0"

// A tag says what a message is. Numbers are never reused.
type tag uint8

const (
	tagFailure tag = iota + 1 // failure: in place of any other answer

	// The first message of a stream.
	tagOffer   // offer
	tagWatch   // watch
	tagControl // control

	// Answers to an offer and what follows, in this order.
	tagWelcome  // empty: the tasklet is accepted, the program is being fetched
	tagReady    // the program can run; empty, or one byte: the first list shall have hashes
	tagPages    // PageList: a round while the tasklet still runs, or a part of one
	tagFrozen   // Continuation: the last round
	tagNeed     // bit map: of the pages listed with hashes, those that are missing
	tagData     // pages, compressed; or tagRaw
	tagPrepared // empty: the continuation is whole
	tagCommit   // commit: the source has given the tasklet up
	tagRunning  // empty

	tagEvent // event
	tagHeard // position in the output up to which it was heard
	tagReply // reply to a control

	tagRaw // pages that do not compress, as they are

	// Another first message of a stream.
	tagRead // read
)

// An offer asks to move a tasklet.
type offer struct {
	ID      ID
	Move    moveID
	Program string // CID
	Origin  string
	Memory  uint64 // bytes
	Args    []string

	// Of a function, in place of a program.
	Function string
	Shape    string // of its state, which has Memory bytes

	// Claim shows that the peer which makes the offer has the tasklet, and which
	// peer started it. Proof shows to the peer that started it that the other one
	// has its key. See [incomingMove.checkOffer].
	Claim Claim
	Proof []byte
}

// A watch asks for output and what becomes of the tasklet.
type watch struct {
	ID   ID
	From int64
}

// An event is what a watch is told. One of its parts is set.
type event struct {
	Output []byte
	At     int64 // position of Output
	State  State // Running or Suspended
	Moved  *forward
	Exited *exit
}

// A forward tells where a tasklet went.
type forward struct {
	To    string
	Addrs []string
	Hop   Hop
}

// An exit is how a tasklet came to its end.
type exit struct {
	Status  int
	Failure *failure
}

// A control asks the host of a tasklet for something.
type control struct {
	ID      ID
	Kill    bool
	Suspend bool
	Resume  bool
	Claim   bool   // asks for the host's claim; anybody may
	Wait    bool   // asks for the end of the tasklet; anybody may
	Info    bool   // asks what the host knows of the tasklet
	Move    string // peer to move to
	// Outcome asks what became of a move: the destination asks the source.
	Outcome moveID
	// Confirm asks whether a tasklet that was handed over runs: the source
	// asks the destination.
	Confirm moveID
	// Greet asks for nothing.
	Greet bool
	// Run is the incarnation of the host that asks.
	Run incarnation
	// Renew asks the peer that started a tasklet for a short claim, in place of
	// this one: see [Host.renew].
	Renew *Claim

	// Proof shows that who asks has the tasklet's key. The peer that started it
	// needs none.
	Proof []byte
}

// A reply answers a control.
type reply struct {
	Moved   *forward
	Outcome moveDecision
	Hop     Hop           // of a move that was committed
	Age     time.Duration // likewise: see commit
	Claim   *Claim
	Exited  *exit
	Info    *Info
	Run     incarnation // of the host that answers
	Twice   bool        // two peers have the key of the one that asks
}

// A read asks the peer that started a tasklet for its output. It is answered with
// tagWelcome and then, one by one, events with output, until the stream ends.
type read struct {
	ID     ID
	From   int64
	Follow bool // wait for more, until the tasklet has exited
	Proof  []byte
}

// A commit gives a tasklet up.
type commit struct {
	Hop   Hop
	Claim Claim // of the destination
	// Age is how long ago, by the source's clock, that of the tasklet was read,
	// and Held how long after the destination's last message this one is sent.
	Age, Held time.Duration
}

// A conn is a stream of messages: frames whose first byte is the tag.
type conn struct {
	stream p2p.Stream
	r      *bufio.Reader
	sent   uint64 // bytes
}

func newConn(s p2p.Stream) *conn { return &conn{stream: s, r: bufio.NewReader(s)} }

// peer is the ID at the other end, which it has proved.
func (c *conn) peer() p2p.ID { return c.stream.Conn().RemotePeer() }

// send sends v as gob; nil stands for an empty message.
func (c *conn) send(t tag, v any) error {
	var body []byte
	if v != nil {
		var err error
		if body, err = codec.Marshal(v, maxEncoded(1<<32)); err != nil {
			return err
		}
	}
	return c.sendBytes(t, body)
}

func (c *conn) sendBytes(t tag, body []byte) error {
	payload := append(make([]byte, 0, len(body)+1), byte(t))
	return c.sendFrame(append(payload, body...))
}

// sendFrame sends a message that begins with its tag.
func (c *conn) sendFrame(payload []byte) error {
	c.sent += uint64(len(payload))
	return codec.WriteFrame(c.stream, payload)
}

// fail tells the other end of an error, as far as it still listens.
func (c *conn) fail(err error) {
	c.send(tagFailure, failureOf(err))
}

// next returns the next message of at most limit bytes. A failure is returned
// as the error that it stands for.
func (c *conn) next(limit int) (tag, []byte, error) {
	b, err := codec.ReadFrame(c.r, max(limit, smallMessage)+1)
	if err != nil {
		return 0, nil, err
	}
	return parse(b, limit)
}

// parse is next for a message that has been read.
func parse(b []byte, limit int) (tag, []byte, error) {
	switch {
	case len(b) == 0:
		return 0, nil, fmt.Errorf("tasklet: empty message: %w", codec.ErrMalformed)
	case tag(b[0]) != tagFailure && len(b) > limit+1:
		return 0, nil, fmt.Errorf("tasklet: message of %d bytes: %w", len(b), codec.ErrTooLarge)
	}
	if tag(b[0]) == tagFailure {
		var f failure
		if err := codec.Unmarshal(b[1:], &f); err != nil {
			return 0, nil, err
		}
		return 0, nil, f.err()
	}
	return tag(b[0]), b[1:], nil
}

// refusal returns why the other end stopped listening, if it has said so, or else
// err, which came of sending.
func (c *conn) refusal(err error) error {
	c.within(refusalTimeout)
	b, e := codec.ReadFrame(c.r, smallMessage)
	if e == nil && len(b) > 0 && tag(b[0]) == tagFailure {
		_, _, err = parse(b, 0)
	}
	return err
}

// expect returns the next message, which must be of the tag.
func (c *conn) expect(want tag, limit int) ([]byte, error) {
	got, body, err := c.next(limit)
	if err == nil && got != want {
		err = fmt.Errorf("tasklet: message %d where %d belongs: %w", got, want, codec.ErrMalformed)
	}
	return body, err
}

// receive decodes the next message, which must be of the tag, into v.
func (c *conn) receive(want tag, v any) error {
	body, err := c.expect(want, smallMessage)
	if err != nil {
		return err
	}
	if err := codec.Unmarshal(body, v); err != nil {
		return err
	}
	if m, ok := v.(interface{ validate() error }); ok {
		if err := m.validate(); err != nil {
			return fmt.Errorf("tasklet: message %d: %w: %w", want, codec.ErrMalformed, err)
		}
	}
	return nil
}

// within gives the peer until then for what follows.
func (c *conn) within(d time.Duration) { c.stream.SetDeadline(time.Now().Add(d)) }

// watchClose returns a context that ends when the other end ends the stream, from
// which nothing more is to come, and a function that ends the attention.
func (c *conn) watchClose(ctx context.Context) (_ context.Context, leave func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	c.stream.SetReadDeadline(time.Time{})
	go func() {
		defer close(done)
		defer cancel()
		c.next(0)
	}()
	return ctx, func() {
		cancel()
		c.stream.CloseRead()
		<-done
	}
}

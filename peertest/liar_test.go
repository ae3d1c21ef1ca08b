package peertest_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
)

// A liar is a member of a channel, whose name it knows, that speaks the protocol of
// channels by hand.
type liar struct {
	node   *p2p.Node
	victim p2p.ID
	name   channel.Name
}

// Kinds of frames, as they travel.
const (
	kindHello   = 1
	kindSend    = 4
	kindReceive = 6
	kindMatch   = 8
	kindDeliver = 10
)

// lies are what a liar does over and over. Each does it once, in a session of its
// own.
var lies = map[string]func(*session, *rand.Rand) error{
	// It says that it is the home, and passes on values of peers that do not exist.
	"values of nobody": func(s *session, r *rand.Rand) error {
		if err := s.hello(s.generation+1, s.node.ID()); err != nil {
			return err
		}
		for range 200 {
			var frames []byte
			for range 100 {
				frames = appendDeliver(frames, r.Uint64(), 1<<60, fmt.Sprint("nobody ", r.Uint64()), flagAgain|flagValue, nil)
			}
			if _, err := s.Write(frames); err != nil {
				return err
			}
		}
		return nil
	},
	// It says that it is the home, and matches what nobody has begun.
	"false matches": func(s *session, r *rand.Rand) error {
		if err := s.hello(s.generation+1, s.node.ID()); err != nil {
			return err
		}
		for range 1000 {
			f := []byte{kindMatch, 1}
			f = binary.LittleEndian.AppendUint64(f, r.Uint64N(1000))
			f = binary.LittleEndian.AppendUint64(f, r.Uint64N(1000))
			f = append(f, 0)
			f = binary.LittleEndian.AppendUint64(f, r.Uint64())
			f = appendText(f, string(s.victim))
			f = append(f, 0) // no addresses
			if _, err := s.Write(codec.AppendFrame(nil, f)); err != nil {
				return err
			}
		}
		return nil
	},
	// It takes the victim for the home, has values passed on to itself and reads
	// nothing.
	"unread values": func(s *session, r *rand.Rand) error {
		if err := s.hello(s.generation, s.home); err != nil {
			return err
		}
		s.deaf()
		value := make([]byte, 1<<20)
		for range 64 {
			f := appendDeliver(nil, r.Uint64(), 1, string(s.node.ID()), flagPass|flagValue, value)
			if _, err := s.Write(f); err != nil {
				return err
			}
		}
		return nil
	},
	// It sends and receives without end, and settles nothing.
	"open matches": func(s *session, r *rand.Rand) error {
		if err := s.hello(s.generation, s.home); err != nil {
			return err
		}
		for n := range uint64(10_000) {
			receive := binary.LittleEndian.AppendUint64([]byte{kindReceive, 1}, 1<<40+n)
			frames := codec.AppendFrame(nil, receive)
			send := binary.LittleEndian.AppendUint64([]byte{kindSend, 1}, 1<<41+n)
			frames = codec.AppendFrame(frames, append(send, 0, 0, 0, 0)) // heard, at, under, flags
			if _, err := s.Write(frames); err != nil {
				return err
			}
		}
		return nil
	},
	// It gives the channel ever new numbers.
	"numbers": func(s *session, r *rand.Rand) error {
		for n := range uint64(20_000) {
			if _, err := s.Write(s.appendHello(2+n, s.generation, s.home)); err != nil {
				return err
			}
		}
		return nil
	},
}

// Flags of a send or a deliver.
const (
	flagValue = 1 << iota
	flagAgain
	flagPass
)

// A session is one between the liar and the victim.
type session struct {
	p2p.Stream
	*liar
	generation uint64 // of the home, as the victim says
	home       p2p.ID
	stop       chan struct{}
	stopped    chan struct{}
}

// lie has the liar tell a lie in a new session.
func (l *liar) lie(ctx context.Context, tell func(*session, *rand.Rand) error, r *rand.Rand) error {
	stream, err := l.node.Open(ctx, l.victim, network.Protocol)
	if err != nil {
		return err
	}
	defer stream.Reset()
	if end, ok := ctx.Deadline(); ok {
		stream.SetDeadline(end)
	}
	s := &session{Stream: stream, liar: l, stop: make(chan struct{}), stopped: make(chan struct{})}
	if err := s.begin(); err != nil {
		return err
	}
	err = tell(s, r)
	stream.Reset()
	<-s.stopped
	return err
}

// begin learns whom the victim takes for the home. From then on what it says is
// read and forgotten.
func (s *session) begin() error {
	if _, err := s.Write(binary.LittleEndian.AppendUint64(nil, rand.Uint64())); err != nil {
		return err
	}
	r := bufio.NewReader(s)
	if _, err := io.ReadFull(r, make([]byte, 8)); err != nil {
		return err
	}
	if err := s.hello(0, ""); err != nil {
		return err
	}
	for {
		f, err := codec.ReadFrame(r, channel.MaxValue+1<<20)
		if err != nil {
			return err
		}
		if len(f) > 0 && f[0] == kindHello {
			if s.generation, s.home, err = parseHello(f); err != nil {
				return err
			}
			break
		}
	}
	go func() {
		defer close(s.stopped)
		for {
			select {
			case <-s.stop:
				return
			default:
			}
			if _, err := codec.ReadFrame(r, channel.MaxValue+1<<20); err != nil {
				return
			}
		}
	}()
	return nil
}

// deaf has the liar read nothing more.
func (s *session) deaf() { close(s.stop) }

func (s *session) hello(generation uint64, home p2p.ID) error {
	_, err := s.Write(s.appendHello(1, generation, home))
	return err
}

// appendHello appends a hello that proves that the liar knows the name.
func (l *liar) appendHello(number, generation uint64, home p2p.ID) []byte {
	secret := sha256.Sum256([]byte("dstackless channel secret\x00" + string(l.name)))
	key := sha256.Sum256(append([]byte("dstackless channel key\x00"), secret[:]...))
	mac := hmac.New(sha256.New, secret[:])
	mac.Write([]byte(string(l.node.ID()) + "\x00" + string(l.victim)))
	f := binary.AppendUvarint([]byte{kindHello}, number)
	f = append(append(f, key[:]...), mac.Sum(nil)...)
	f = appendText(binary.AppendUvarint(f, generation), string(home))
	return codec.AppendFrame(nil, append(f, 0)) // no addresses
}

// parseHello returns what a hello says of the home.
func parseHello(f []byte) (generation uint64, home p2p.ID, err error) {
	errMalformed := errors.New("malformed hello")
	_, n := binary.Uvarint(f[1:])
	if n <= 0 || len(f) < 1+n+64 {
		return 0, "", errMalformed
	}
	f = f[1+n+64:]
	generation, n = binary.Uvarint(f)
	if n <= 0 {
		return 0, "", errMalformed
	}
	size, m := binary.Uvarint(f[n:])
	if m <= 0 || size > uint64(len(f)-n-m) {
		return 0, "", errMalformed
	}
	return generation, p2p.ID(f[n+m:][:size]), nil
}

func appendDeliver(dst []byte, send, receive uint64, peer string, flags byte, value []byte) []byte {
	f := binary.LittleEndian.AppendUint64([]byte{kindDeliver, 1}, send)
	f = binary.LittleEndian.AppendUint64(f, receive)
	f = appendText(f, peer)
	f = append(f, 0, 0, flags) // choice, heard
	return codec.AppendFrame(dst, append(f, value...))
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

package dht

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"google.golang.org/protobuf/proto"

	"github.com/dstackless/dstackless/p2p"
)

// An answerStream is a stream on which kad-dht answers. Of its answers it leaves
// out the providers that have withdrawn. kad-dht has no place for that: its store
// of providers cannot be replaced, and keeps what it was given until that expires.
type answerStream struct {
	network.Stream
	withdrawals *withdrawals
	pending     []byte // the beginning of an answer
}

// Write implements [io.Writer]. It must not be called by several at once.
func (a *answerStream) Write(p []byte) (n int, err error) {
	if len(a.pending) == 0 && a.withdrawals.empty() && complete(p) {
		return a.Stream.Write(p)
	}
	a.pending = append(a.pending, p...)
	if !complete(a.pending) {
		return len(p), nil
	}
	answer := a.pending
	a.pending = nil
	if answer, err = withoutEnded(answer, a.withdrawals.has); err != nil {
		return 0, err
	}
	if _, err := a.Stream.Write(answer); err != nil {
		return 0, err
	}
	return len(p), nil
}

// complete reports whether b is a whole message, with its length in front.
func complete(b []byte) bool {
	size, n := binary.Uvarint(b)
	return n > 0 && uint64(len(b)-n) >= size
}

// withoutEnded returns an answer without the providers that have ended.
func withoutEnded(answer []byte, ended func(p2p.ID) bool) ([]byte, error) {
	_, n := binary.Uvarint(answer)
	if n <= 0 {
		return nil, errors.New("dht: answer: it has no length")
	}
	m := new(pb.Message)
	if err := proto.Unmarshal(answer[n:], m); err != nil {
		return nil, fmt.Errorf("dht: answer: %w", err)
	}
	before := len(m.ProviderPeers)
	m.ProviderPeers = slices.DeleteFunc(m.ProviderPeers, func(p *pb.Message_Peer) bool { return ended(p2p.ID(p.Id)) })
	if len(m.ProviderPeers) == before {
		return answer, nil
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("dht: answer: %w", err)
	}
	return bytes.Join([][]byte{binary.AppendUvarint(nil, uint64(len(b))), b}, nil), nil
}

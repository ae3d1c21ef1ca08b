package p2p

import (
	"bufio"
	"bytes"
)

// MaxPiece is the most that one piece of a lasting stream holds.
const MaxPiece = maxPiece

// Reread reads what a carrier of a lasting stream sends, the hello, the answer
// or the pieces, and returns it written again.
func Reread(b []byte) ([]byte, error) {
	r := bufio.NewReader(bytes.NewReader(b[1:]))
	out := []byte{b[0]}
	switch b[0] {
	case 0:
		h, err := readHello(r)
		return h.append(out), err
	case 1:
		a, err := readAnswer(r)
		return a.append(out), err
	}
	buf := make([]byte, maxPiece)
	for {
		if _, err := r.Peek(1); err != nil {
			return out, nil
		}
		p, err := readPiece(r, buf)
		if err != nil {
			return nil, err
		}
		out = p.append(out)
	}
}
